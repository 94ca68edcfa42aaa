"""What a failed step leaves for the person on call: one sentence, the law that was broken, and the partition.

A step runs as a process of its own, so it writes them to a file that the task has named in the environment; the task
reads it and fails with that sentence.
"""

import json
import os
import re
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath

from schemas.errors import NightweaveError

VARIABLE = "NIGHTWEAVE_FAILURE"

LAWS = {
    1: "a night is a function of raw partitions, configuration and code",
    2: "all or nothing: a partition changes in one commit",
    3: "everything is accounted for",
    4: "content is extracted once",
    5: "missing is not zero",
    6: "nothing is published that is worse",
    7: "media is hostile",
    8: "audited before it is read",
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
    "explanations": 2,
    "recommendations": 2,
    "similar_items": 2,
    "published": 8,
    "costs": 3,
}
"""The law that a broken promise about a table breaks first."""


OURS = {"dags", "features", "fusion", "jobs", "lake", "schemas"}
LONGEST = 600
"""Characters of an unknown error's message that its sentence takes."""
WORKER = re.compile(r"^Traceback \(most recent call last\):\n(?P<frames>(?: .*\n)+)(?P<error>\S.*)", re.MULTILINE)
"""What Spark quotes of an error in a Python worker."""
QUALIFIED = re.compile(r"^(\w+\.)+(?=\w+(:|$))")
FRAME = re.compile(r'^  File "(.+)", line (\d+), in (.+)$', re.MULTILINE)


@dataclass(frozen=True)
class Failure:
    """`law` is a key of `LAWS`, None where no law is broken (such as a mistake in the configuration)."""

    message: str
    law: int | None = None
    partition: str | None = None

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """The failure that an error is: its own message where it has one for people, else its type, message and place.

        The place is the innermost one in our own code. Of an error in one of Spark's Python workers it is that in the
        worker. The message is one line that a database and a terminal can take, whatever the data had in it.

        >>> Failure.of(NightweaveError("no such night")).message
        'no such night'
        >>> Failure.of(KeyError("encoders")).message
        "KeyError: 'encoders'"
        """
        if isinstance(error, NightweaveError):
            return cls(one_line(str(error)), getattr(error, "law", None), getattr(error, "partition", None))
        text, frames = str(error), traceback.extract_tb(error.__traceback__)
        words = f"{type(error).__name__}: {text}"
        places = [(frame.filename, str(frame.lineno), frame.name) for frame in frames]
        if worker := WORKER.search(text):
            words, places = QUALIFIED.sub("", worker["error"]), FRAME.findall(worker["frames"])
        return cls(one_line(words).removesuffix(":")[:LONGEST] + _place(places))

    def words(self) -> str:
        """One line for a person: what was broken."""
        law = f"law {self.law} ({LAWS[self.law]})" if self.law else "no law of the night, as far as the step knows"
        return f"broken: {law}; partition: {self.partition or 'unknown'}"


def leave(failure: Failure) -> None:
    """Write a failure to the file that the environment names, if it names one."""
    if path := os.environ.get(VARIABLE):
        Path(path).write_text(json.dumps(asdict(failure)), "utf-8")


def left(path: Path) -> Failure | None:
    """The failure that a step has written to a file; None where there is no file."""
    return Failure(**json.loads(path.read_text("utf-8"))) if path.is_file() else None


def one_line(text: str) -> str:
    """The text in one line; what cannot be printed, such as a NUL or half a surrogate pair, is a question mark.

    >>> one_line("a\\n  b\\x00")
    'a b?'
    """
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))


def _place(places: list[tuple[str, str, str]]) -> str:
    """`, at FILE:LINE in FUNCTION` with the innermost place of our own code, else the innermost; empty without any."""
    ours = [place for place in places if _own(place[0])]
    if not places:
        return ""
    file, line, function = (ours or places)[-1]
    return f", at {_own(file) or file}:{line} in {function}"


def _own(file: str) -> str:
    """The path of a file of ours from its package on, wherever that is installed; empty for others."""
    parts = PurePath(file).parts
    begins = [number for number, part in enumerate(parts[:-1]) if part in OURS]
    return "/".join(parts[begins[-1] :]) if begins and "site-packages" not in parts else ""
