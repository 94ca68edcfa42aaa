"""What a failed step leaves for the person on call: the law that was broken, and the partition.

A step runs as a process of its own, so it writes them to a file that the task has named in the environment; the
callback of the failed task reads it.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

VARIABLE = "NIGHTWEAVE_FAILURE"

LAWS = {
    1: "a night is a function of raw partitions, configuration and code",
    2: "all or nothing: a partition changes in one commit",
    3: "everything is accounted for",
    4: "content is extracted once",
    5: "missing is not zero",
    6: "nothing is published that is worse",
    7: "media is hostile",
}

LAW_OF_TABLE = {
    "items": 3,
    "interactions": 3,
    "given_vectors": 3,
    "quarantine": 3,
    "ledger": 3,
    "features_text": 4,
    "features_image": 4,
    "features_audio": 4,
    "features_video": 4,
    "metrics": 6,
    "models": 6,
    "item_embeddings": 2,
    "user_embeddings": 2,
    "recommendations": 2,
    "similar_items": 2,
}
"""The law that a broken promise about a table breaks first."""


@dataclass(frozen=True)
class Failure:
    """`law` is a key of `LAWS`, None where no law is broken (such as a mistake in the configuration)."""

    message: str
    law: int | None = None
    partition: str | None = None

    def words(self) -> str:
        """One or two lines for a person."""
        law = f"law {self.law} ({LAWS[self.law]})" if self.law else "no law of the night, as far as the step knows"
        return f"broken: {law}; partition: {self.partition or 'unknown'}\n{self.message}"


def leave(failure: Failure) -> None:
    """Write a failure to the file that the environment names, if it names one."""
    if path := os.environ.get(VARIABLE):
        Path(path).write_text(json.dumps(asdict(failure)), "utf-8")


def left(path: Path) -> Failure | None:
    """The failure that a step has written to a file; None where there is no file."""
    return Failure(**json.loads(path.read_text("utf-8"))) if path.is_file() else None
