"""What is refused of a landing zone, and why."""


class Refusal(Exception):
    """A record, a file or a field is refused.

    Attributes:
        reason: a stable slug.
        detail: what arrived and what was expected; of what could not be parsed at all, never the content.
        rows: how many records of the input the refusal stands for; None where that is not known, but at least one.
    """

    def __init__(self, reason: str, detail: str, *, rows: int | None = 1) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail[:500]
        self.rows = rows
