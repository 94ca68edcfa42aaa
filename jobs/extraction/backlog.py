"""The contents that a night is to extract: those known as of it that the feature store lacks.

Keys are compared by DuckDB in the driver's process, in bounded memory, beyond that on disk. On most nights little or
nothing is lacking; where nothing is, Spark need not start.
"""

import logging
import tempfile
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from jobs.runtime.night import Night
from lake import views
from lake.lake import Lake
from lake.repair import Aside, take_out
from schemas.features import FEATURES, is_given
from schemas.table import VECTOR, Medium, Table
from schemas.tables import GivenVectors, Interactions, Items, Quarantine

log = logging.getLogger("nightweave.backlog")

CONTENT = pa.schema([("content_key", pa.string()), ("content", pa.string()), ("arrives", pa.bool_())])
VECTOR_CONTENT = CONTENT.set(1, pa.field("content", VECTOR))
MEMORY = "2GB"

_OF_TEXT = """
    SELECT date, text_key AS content_key, text AS content FROM items WHERE NOT deleted
    UNION ALL
    SELECT date, text_key, text FROM interactions
"""
_OF_FILES = """
    SELECT date, unnest({modality}_keys) AS content_key, unnest({modality}_uris) AS content
    FROM items WHERE NOT deleted
"""
_OF_VECTORS = """
    SELECT date, content_key, vector AS content FROM given_vectors WHERE modality = '{modality}'
"""
_CONTENTS = """
    CREATE TEMP TABLE contents AS
    WITH known AS ({known}),
    contents AS (
        SELECT content_key, $whole OR bool_or(date = $date) AS arrives
        FROM known WHERE content_key IS NOT NULL GROUP BY content_key
    ),
    refused_before AS (
        SELECT record_id FROM quarantine
        WHERE date < $date AND starts_with(detail, $fingerprint) AND record_id IS NOT NULL
    )
    SELECT *, $again AND arrives
        OR content_key NOT IN (FROM stored) AND (arrives OR content_key NOT IN (FROM refused_before)) AS lacking
    FROM contents
"""
_LACKING = """
    WITH known AS ({known})
    SELECT content_key, min(content) AS content, any_value(arrives) AS arrives
    FROM known JOIN contents USING (content_key) WHERE lacking GROUP BY content_key ORDER BY content_key
"""


class Contents:
    """The distinct contents of one modality as of a night: those of items and, for text, of what users wrote; for an
    encoder that is given its vectors, the vectors that arrived.

    `content` is the text, a path relative to RAW, or the vector. A content `arrives` if the night's own rows hold it.
    It is lacking if the store has no features of it under the encoder. One that the same encoder refused on an earlier
    night is not lacking, unless it arrives: what a night quarantines depends on its own rows and not on the nights that
    ran before. A context manager.

    Args:
        again: what arrives counts as lacking although the store has it.
        whole: all contents count as arriving, on whichever night they arrived.

    Attributes:
        arriving, lacking: how many contents arrive, and how many are lacking.
        late: how many are lacking and do not arrive.
    """

    def __init__(
        self, night: Night, modality: Medium, fingerprint: str, *, again: bool = False, whole: bool = False
    ) -> None:
        self._lake, self._store, self._fingerprint = night.lake, FEATURES[modality], fingerprint
        self._schema = VECTOR_CONTENT if is_given(fingerprint) else CONTENT
        tables, self._known = _sources(modality, fingerprint)
        self._spill = tempfile.TemporaryDirectory()
        self._duckdb = duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": self._spill.name})
        arrived = pc.field("date") <= night.date
        for table in tables:
            self._duckdb.register(table.name, night.lake.dataset(table).filter(arrived))
        stage = pc.field("stage")
        refused = pc.starts_with(stage, f"extract_{modality}") | pc.starts_with(stage, f"reextract_{modality}")
        self._duckdb.register("quarantine", night.lake.dataset(Quarantine).filter(refused))
        self._register_stored()
        parameters = {"date": night.date, "fingerprint": fingerprint, "again": again, "whole": whole}
        with views.naming_damage(self._lake):
            self._duckdb.execute(_CONTENTS.format(known=self._known), parameters)
        self.arriving = self._count("arrives")
        self.lacking = self._count("lacking")
        self.late = self._count("lacking AND NOT arrives")

    def slices(self, count: int) -> Iterator[pa.Table]:
        """Yield the lacking contents, ascending by key, as at most `count` tables of equal length, of `CONTENT` or, for
        vectors, of `VECTOR_CONTENT`."""
        size, rows = -(-self.lacking // count), self._schema.empty_table()
        with views.naming_damage(self._lake):
            for batch in self._duckdb.sql(_LACKING.format(known=self._known)).to_arrow_reader():
                rows = pa.concat_tables([rows, pa.Table.from_batches([batch]).cast(self._schema)])
                while rows.num_rows >= size:
                    yield rows.slice(0, size)
                    rows = rows.slice(size)
        if rows.num_rows:
            yield rows

    def lacking_keys(self) -> pa.Table:
        """Return `content_key` and `arrives` of the lacking contents."""
        return self._duckdb.sql("SELECT content_key, arrives FROM contents WHERE lacking").to_arrow_table()

    def arrived_and_stored(self) -> int:
        """Return how many of the arriving contents the store has by now."""
        self._register_stored()
        return self._count("arrives AND content_key IN (SELECT content_key FROM stored)")

    def _register_stored(self) -> None:
        stored = self._lake.dataset(self._store).scanner(
            columns=["content_key"], filter=pc.field("encoder") == self._fingerprint
        )
        with views.naming_damage(self._lake):
            self._duckdb.register(self._store.name, stored.to_reader())
            self._duckdb.execute(f"CREATE OR REPLACE TEMP TABLE stored AS FROM {self._store.name}")

    def _count(self, condition: str) -> int:
        (row,) = self._duckdb.execute(f"SELECT count(*) FROM contents WHERE {condition}").fetchall()
        return row[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._duckdb.close()
        self._spill.cleanup()


def accounts(step: str, fingerprints: Sequence[str]) -> list[str]:
    """The names of the accounts of an extraction under several encoders: `step` of the first, `step.FINGERPRINT` of
    the others."""
    return [step, *(f"{step}.{fingerprint}" for fingerprint in fingerprints[1:])]


def take_out_damaged(lake: Lake, modality: Medium, fingerprint: str) -> None:
    """Take the files of an encoder that are missing or damaged out of the store, which then lacks their contents.

    Every file is read to its end, as training does: what it costs is in docs/howto/repair.md.

    Raises:
        DamageError: the store's log is damaged.
    """
    store, partition = FEATURES[modality], {"encoder": fingerprint}
    found = list(lake.damaged(store, partition))
    if logs := [one for one in found if not one.partition]:
        raise lake.damage_error(store, logs[0])
    if found:
        aside = Aside(lake)
        take_out(lake, store, partition, found, aside)
        for one in found:
            log.warning("%s: %s: its contents are extracted anew; what is left is in %s", store.name, one, aside.folder)


def _sources(modality: Medium, fingerprint: str) -> tuple[tuple[type[Table], ...], str]:
    """The tables that hold the contents of an encoder, and the query for them."""
    if is_given(fingerprint):
        return (GivenVectors,), _OF_VECTORS.format(modality=modality)
    if modality == "text":
        return (Items, Interactions), _OF_TEXT
    return (Items,), _OF_FILES.format(modality=modality)
