"""The one exception for mistakes that a user can mend."""


class UserError(Exception):
    """Bad input: the message is one line that says what, where and what is allowed; the exit code is 2."""
