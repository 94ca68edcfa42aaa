"""Extract one modality of a night: contents that the feature store lacks are decoded, encoded and added to it."""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from jobs.extraction.backlog import Contents, accounts, take_out_damaged
from jobs.extraction.encoding import Encoding, Refused, Row, use_task_resources
from jobs.extraction.parts import File, Part, Parts
from jobs.runtime.engines import EngineFor, engines
from jobs.runtime.ledger import Account, check_share, close
from jobs.runtime.night import Night
from lake.rewrite import put
from lake.scratch import Scratch, scratch
from lake.writer import StagedFile
from schemas.features import FEATURES
from schemas.table import Medium
from schemas.tables import GivenVectors, Ledger, Quarantine

log = logging.getLogger("nightweave.extract")

CONTENTS_PER_TASK = {"text": 4096, "image": 2048, "audio": 512, "video": 64}
"""What one core does in a minute or so."""
VECTORS_PER_TASK = 1 << 17
"""The same of vectors that are given."""
ALONE = 0.25
"""The share of a task's contents from which on they are worth Spark's start."""
PROGRESS_EVERY_S = 10.0
PART_S = 5.0
"""Seconds after which a task ends a file of the store and notes it; a killed task loses what it did since."""
RESULT = pa.schema([("table", pa.string()), ("path", pa.string()), ("size", pa.int64()), ("rows", pa.int64())])


def run(night: Night, *, modality: Medium, again: bool = False) -> None:
    """`extract_modality` with engines of its own."""
    with engines(night, f"extract {modality} {night.ds}", night.config.extract.spark_settings()) as engine_for:
        extract_modality(engine_for, night, modality, again=again)


def extract_modality(engine_for: EngineFor, night: Night, modality: Medium, *, again: bool = False) -> None:
    """Add to the feature store what it lacks of the contents known as of the night, under each encoder of the modality,
    one after the other.

    Args:
        engine_for: asked only where there is something to extract.
        again: extract what the night brings although the store has it; its rows are replaced.

    Raises:
        NightError: more than the set share of the contents was refused; the store has nothing new under that encoder.
    """
    under = encodings(night, modality, f"extract_{modality}")
    _take_back_others(night, [step for _, step in under])
    for encoding, step in under:
        _extract_under(encoding, engine_for, night, step, again=again)


def encodings(night: Night, modality: Medium, step: str) -> list[tuple[Encoding, str]]:
    """The encoders of a modality, each with the name of its account (`jobs.extraction.backlog.accounts`)."""
    settings, most = night.config.extract, night.config.clean.max_media_bytes
    several = [Encoding(night.raw, modality, choice, settings, most) for choice in settings.encoders[modality]]
    steps = accounts(step, [encoding.encoder().fingerprint for encoding in several])
    return list(zip(several, steps, strict=True))


def _extract_under(encoding: Encoding, engine_for: EngineFor, night: Night, step: str, *, again: bool) -> None:
    modality, settings = encoding.modality, encoding.settings
    fingerprint, store = encoding.encoder().fingerprint, FEATURES[modality]
    take_out_damaged(night.lake, modality, fingerprint)
    with Contents(night, modality, fingerprint, again=again) as contents:
        log.info("%s: %d contents to extract under %s", step, contents.lacking, fingerprint)
        features, refusals = (
            extracted(engine_for, night, encoding, contents.slices, step, count=contents.lacking)
            if contents.lacking
            else ([], [])
        )
        night.lake.replace(Quarantine, refusals, {"date": night.ds, "stage": step})
        # A rerun tries again what was refused and nothing else, so the share is of all that the night answers for.
        failed = contents.lacking - sum(file.rows for file in features)
        answers_for = contents.arriving + contents.late
        check_share(night, step, refused=failed, rows_in=answers_for, limit=settings.max_refused_share)
        if again:
            stale = refused_keys(night, step)
            put(night.lake, store, features, {"encoder": fingerprint}, without=stale)
        else:
            night.lake.append_new(store, features, {"encoder": fingerprint})
        refused = sum(file.rows for file in refusals)
        kept = contents.arrived_and_stored()
        close(night, step, Account(contents.arriving, kept, refused, encoder=fingerprint))


def _take_back_others(night: Night, steps: list[str]) -> None:
    """Remove the night's accounts of encoders beside the first that the configuration no longer has."""
    for table, column in ((Quarantine, "stage"), (Ledger, "step")):
        theirs = (pc.field("date") == night.date) & pc.starts_with(pc.field(column), f"{steps[0]}.")
        stale = set(night.lake.read(table, where=theirs, columns=[column])[column].to_pylist()) - set(steps)
        for step in sorted(stale):
            night.lake.replace(table, [], {"date": night.ds, column: step})


def refused_keys(night: Night, step: str) -> list[str]:
    """The contents that stand in quarantine for a step of the night."""
    here = (pc.field("date") == night.date) & (pc.field("stage") == step)
    return night.lake.read(Quarantine, where=here, columns=["record_id"])["record_id"].to_pylist()


def extracted(
    engine_for: EngineFor,
    night: Night,
    encoding: Encoding,
    slices: Callable[[int], Iterator[pa.Table]],
    step: str,
    *,
    count: int,
) -> tuple[list[StagedFile], list[StagedFile]]:
    """Features of `count` contents, and what was refused of those that arrive, as files that no commit names yet.

    Args:
        slices: gives the contents in at most so many tables, as `Contents.slices`.
    """
    fingerprint = encoding.encoder().fingerprint
    limit = _per_task(encoding) * ALONE
    engine = engine_for(f"{count} contents under {fingerprint}", count, limit)
    with scratch(night.lake, f"{step}-{night.ds}") as folder:
        tasks = 0
        for tasks, rows in enumerate(slices(_tasks(count, encoding, engine.parallelism)), start=1):
            folder.write(tasks - 1, rows)
        parts = Parts(night.lake, f"{folder.uri.removeprefix(f'{night.lake.uri}/')}/parts")
        with _progress(step, count, parts):
            task = Task(night, encoding, folder, parts, fingerprint, step)
            numbers = engine.rows(pa.table({"id": pa.array(range(tasks), pa.int64())}), parts=tasks)
            files = numbers.map(task, RESULT).collect()
    features, refusals = (
        [StagedFile(file["path"], file["size"], file["rows"]) for file in files if file["table"] == table.name]
        for table in (FEATURES[encoding.modality], Quarantine)
    )
    return features, refusals


@dataclass(frozen=True)
class Task:
    """Extracts numbered slices of contents into files of features and of what was refused; picklable.

    A slice is done in parts of a few seconds. An attempt after one that was killed begins after its last part.
    """

    night: Night
    encoding: Encoding
    slices: Scratch
    parts: Parts
    fingerprint: str
    step: str

    def __call__(self, numbers: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """A row for each file."""
        use_task_resources()
        for number in (row["id"] for batch in numbers for row in batch.to_pylist()):
            yield pa.RecordBatch.from_pylist(list(self._extract(number)), schema=RESULT)

    def _extract(self, number: int) -> Iterator[File]:
        done = self.parts.finished().get(number, [])
        for part in done:
            yield from self.parts.files(part)
        start = done[-1].end if done else 0
        contents = (row for batch in self.slices.read(number) for row in batch.to_pylist())
        left = islice(contents, start, None)
        while (made := self._part(left))[0]:
            taken, refused, files = made
            self.parts.note(Part(number, start, start + taken, refused), files)
            start += taken
            yield from files

    def _part(self, contents: Iterator[Row]) -> tuple[int, int, list[File]]:
        """Extract contents for a few seconds, into one file of features and one of what was refused.

        Returns: how many were taken, how many of them were refused, and the files.
        """
        lake, store = self.night.lake, FEATURES[self.encoding.modality]
        taken, refused, until = 0, 0, time.monotonic() + PART_S

        def given() -> Iterator[Row]:
            nonlocal taken
            for row in contents:
                taken += 1
                yield row
                if time.monotonic() > until:
                    return

        with (
            lake.writer(store, {"encoder": self.fingerprint}) as features,
            lake.writer(Quarantine, self._quarantined) as refusals,
        ):
            for found in self.encoding(given()):
                if isinstance(found, Refused):
                    refused += 1
                    if found.row["arrives"]:
                        refusals.write(self._refusal(found))
                else:
                    features.write(self._with_identity(found))
        staged = [(table.name, file.staged) for table, file in ((store, features), (Quarantine, refusals))]
        return taken, refused, [{"table": name} | vars(file) for name, file in staged if file]

    def _with_identity(self, features: pa.RecordBatch) -> pa.RecordBatch:
        identity: dict[str, Any] = {"encoder": self.fingerprint, "date": self.night.date}
        for name, value in identity.items():
            features = features.append_column(name, pa.repeat(pa.scalar(value), features.num_rows))
        return features

    @property
    def _quarantined(self) -> dict[str, str]:
        return {"date": self.night.ds, "stage": self.step}

    def _refusal(self, refused: Refused) -> pa.RecordBatch:
        """A row of `quarantine`; its `detail` begins with the encoder's fingerprint, as another may do better."""
        row = {
            "date": self.night.date,
            "stage": self.step,
            "source": self._source(refused.row),
            "position": 0,
            "record_id": refused.row["content_key"],
            "reason": refused.reason,
            "detail": f"{self.fingerprint}: {refused.detail}",
        }
        return pa.RecordBatch.from_pylist([row], schema=Quarantine.schema)

    def _source(self, row: Mapping[str, Any]) -> str:
        if self.encoding.choice.is_given:
            return GivenVectors.name
        return "text" if self.encoding.modality == "text" else row["content"]


@contextmanager
def _progress(step: str, count: int, parts: Parts) -> Iterator[None]:
    """Within it, the log has every few seconds how many contents are done, how many a second, how long the rest will
    take, and how many were refused."""
    started, over = time.monotonic(), threading.Event()

    def report() -> None:
        finished = [part for chain in parts.finished().values() for part in chain]
        done, refused = sum(part.end - part.start for part in finished), sum(part.refused for part in finished)
        rate = done / (time.monotonic() - started)
        left = f", {(count - done) / rate:.0f} s left" if 0 < done < count else ""
        log.info("%s: %d of %d done, %.1f/s%s, %d refused", step, done, count, rate, left, refused)

    def report_at_intervals() -> None:
        while not over.wait(PROGRESS_EVERY_S):
            report()

    reporter = threading.Thread(target=report_at_intervals, daemon=True)
    reporter.start()
    try:
        yield
    finally:
        over.set()
        reporter.join()
    report()


def _tasks(contents: int, encoding: Encoding, parallelism: int) -> int:
    """Spark tasks for so many contents: a core each where there is a batch for it, more only when tasks grow long."""
    batches = math.ceil(contents / encoding.batch_size)
    return max(1, min(parallelism, batches), contents // _per_task(encoding))


def _per_task(encoding: Encoding) -> int:
    return VECTORS_PER_TASK if encoding.choice.is_given else CONTENTS_PER_TASK[encoding.modality]
