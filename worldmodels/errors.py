"""The one exception that is meant for the person at the terminal."""


class UserError(Exception):
    """What is wrong, where, and what to do about it, in one sentence.

    Scripts print the sentence to standard error and exit with status 2; nothing is half-written by then.
    """
