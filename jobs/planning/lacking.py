"""What nights would extract, one after the other: each what it lacks when those before it have extracted theirs."""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from features.registry import encoder
from jobs.extraction.backlog import Contents, accounts
from jobs.runtime.night import Night
from lake.rows import Engine, Rows
from schemas.config import Config
from schemas.table import MEDIA, Medium

TRIED = pa.schema([("content_key", pa.string()), ("arrives", pa.bool_())])
NEW = "tried.content_key IS NULL OR {again} AND lacking.arrives"
# What was refused while it did not arrive stands nowhere, and is tried by every night until one has it.
ONCE_MORE = "lacking.arrives OR NOT tried.arrives"
COUNTS = f"""
    SELECT count(*) FILTER (WHERE {NEW}) AS contents, count(*) FILTER (WHERE ({NEW}) AND lacking.arrives) AS arriving,
        count(*) FILTER (WHERE NOT ({NEW}) AND ({ONCE_MORE})) AS again_if_refused
    FROM {{{{rows}}}} lacking LEFT JOIN {{{{tried}}}} tried USING (content_key)
"""
BOTH = """
    SELECT content_key, bool_or(arrives) AS arrives FROM (FROM {rows} UNION ALL FROM {tried}) GROUP BY content_key
"""


@dataclass(frozen=True)
class Extraction:
    """What a night would extract under one encoder.

    Attributes:
        step: the name of its account in `ledger`.
        encoder: the fingerprint.
        contents: how many are decoded and encoded.
        arriving: how many of these the night itself brings; the others are of earlier nights.
        again_if_refused: how many more an earlier night of the plan tries: they are tried again if they are refused
            there.
    """

    step: str
    modality: Medium
    encoder: str
    contents: int
    arriving: int
    again_if_refused: int


class Lacking:
    """Is asked for the nights of a plan in turn.

    Args:
        again: as of `Contents`.

    Attributes:
        encoders: modality → the fingerprints of its encoders, in order.
    """

    def __init__(self, engine: Engine, config: Config, *, again: bool) -> None:
        self._engine, self._again = engine, again
        self.encoders: dict[Medium, list[str]] = {
            medium: [
                encoder(medium, each.name, **each.parameters).fingerprint for each in config.extract.encoders[medium]
            ]
            for medium in MEDIA
        }
        self._tried: dict[tuple[Medium, str], Rows] = {}

    def of(self, night: Night) -> Iterator[Extraction]:
        """Yield what the next night would extract, whose lake has what the nights up to it bring."""
        for medium, fingerprints in self.encoders.items():
            steps = accounts(f"extract_{medium}", fingerprints)
            for step, fingerprint in zip(steps, fingerprints, strict=True):
                with Contents(night, medium, fingerprint, again=self._again) as contents:
                    keys = contents.lacking_keys()
                yield Extraction(step, medium, fingerprint, **self._count((medium, fingerprint), keys))

    def _count(self, under: tuple[Medium, str], keys: pa.Table) -> dict[str, int]:
        lacking = self._engine.rows(keys.cast(TRIED), parts=1)
        tried = self._tried.get(under) or self._engine.rows(TRIED.empty_table(), parts=1)
        query = COUNTS.format(again=self._again)
        (counts,) = lacking.select(query, tried=tried).collect()
        self._tried[under] = lacking.select(BOTH, tried=tried).kept()
        return counts
