"""How the runtime refuses."""


class EdgeError(Exception):
    """What is wrong, where, and what would be right, in one line. Exit code 2."""

    exit_code = 2
