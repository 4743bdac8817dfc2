"""The one exception that is meant for the person at the terminal."""

LONGEST = 900
"""What is longer, because it quotes something that is, is cut in its middle."""


class UserError(Exception):
    """What is wrong, where, and what to do about it, in one sentence.

    Scripts print the sentence to standard error and exit with status 2; nothing is half-written by then. It is one line
    that can be printed, whatever damaged or hostile file it quotes.
    """

    def __init__(self, sentence: str) -> None:
        line = "".join(c if c.isprintable() else "\ufffd" for c in " ".join(sentence.split()))
        cut = line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 + 5 :]}"
        super().__init__(cut)
