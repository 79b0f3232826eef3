"""The two ways a command fails, and their exit codes."""


class UserError(Exception):
    """The command cannot start as asked: what, where, what would be right. Exit code 2."""

    exit_code = 2


class RunError(Exception):
    """A run that had started failed. Exit code 3."""

    exit_code = 3
