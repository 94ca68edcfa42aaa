"""What can be wrong with a lake."""

from typing import ClassVar

from schemas.errors import NightweaveError


class LakeError(NightweaveError):
    """A table cannot be read or written; the message names the table and the cause."""


class DamageError(LakeError):
    """A table's log or one of its live files is missing or damaged; the message names table, file and what to do."""

    exit_code: ClassVar[int] = 1
