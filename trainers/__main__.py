"""`robotrl`, or `python -m trainers`: the command line, which takes a moment to be imported."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C ends it without a traceback from the first moment on."""
    try:
        from trainers.cli import main as command_line  # noqa: PLC0415
    except KeyboardInterrupt:
        sys.exit(130)
    command_line()


if __name__ == "__main__":
    main()
