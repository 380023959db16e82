"""The exceptions for mistakes that a user can mend."""


class UserError(Exception):
    """Bad input: the message is one line that says what, where and what is allowed; the exit code is 2."""


class BrokenFile(UserError):
    """A file that is of another kind than it should be, or damaged: of a download no one is helped by keeping it."""
