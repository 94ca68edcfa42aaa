"""Which contents a night is to extract: those known as of it that the feature store lacks.

Keys are compared by DuckDB in the driver's process, in bounded memory and then on disk: it needs a fraction of a second
where starting Spark for the same question takes several, and on most nights the answer is nothing or little.
"""

import tempfile
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from jobs.runtime.night import Night
from schemas.features import FEATURES
from schemas.table import Modality
from schemas.tables import Interactions, Items, Quarantine

CONTENT = pa.schema([("content_key", pa.string()), ("content", pa.string()), ("arrives", pa.bool_())])
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
_CONTENTS = """
    CREATE TEMP TABLE contents AS
    WITH known AS ({known}),
    contents AS (
        SELECT content_key, min(content) AS content, $whole OR bool_or(date = $date) AS arrives
        FROM known WHERE content_key IS NOT NULL GROUP BY content_key
    ),
    hopeless AS (
        SELECT record_id FROM quarantine
        WHERE date < $date AND starts_with(detail, $fingerprint) AND record_id IS NOT NULL
    )
    SELECT *, $again AND arrives
        OR content_key NOT IN (FROM stored) AND (arrives OR content_key NOT IN (FROM hopeless)) AS lacking
    FROM contents
"""


class Contents:
    """The distinct contents of one modality as of a night, of items and, for text, of what users wrote.

    `content` is the text, or a path relative to RAW; a content `arrives` where the night's own rows bring it. It is
    lacking where the store has no features of it under the encoder. One that the same encoder refused on an earlier
    night is not lacking, unless it arrives: what a night puts into quarantine follows from its own rows, whatever ran
    before. A context manager.

    Args:
        again: what arrives counts as lacking although the store has it.
        whole: all contents count as arriving, whichever night brought them.
    """

    def __init__(
        self, night: Night, modality: Modality, fingerprint: str, *, again: bool = False, whole: bool = False
    ) -> None:
        self._lake, self._store, self._fingerprint = night.lake, FEATURES[modality], fingerprint
        self._spill = tempfile.TemporaryDirectory()
        self._duckdb = duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": self._spill.name})
        arrived = pc.field("date") <= night.date
        self._duckdb.register("items", night.lake.dataset(Items).filter(arrived))
        if modality == "text":
            self._duckdb.register("interactions", night.lake.dataset(Interactions).filter(arrived))
        refused = pc.field("stage").isin([f"extract_{modality}", f"reextract_{modality}"])
        self._duckdb.register("quarantine", night.lake.dataset(Quarantine).filter(refused))
        self._register_stored()
        known = _OF_TEXT if modality == "text" else _OF_FILES.format(modality=modality)
        asked = {"date": night.date, "fingerprint": fingerprint, "again": again, "whole": whole}
        self._duckdb.execute(_CONTENTS.format(known=known), asked)
        self.arriving = self._count("arrives")
        self.lacking = self._count("lacking")
        self.late = self._count("lacking AND NOT arrives")

    def slices(self, count: int) -> Iterator[pa.Table]:
        """The lacking ones, by key, with the columns of `CONTENT`, in at most `count` tables of equal length."""
        query = "SELECT content_key, content, arrives FROM contents WHERE lacking ORDER BY content_key"
        size, rows = -(-self.lacking // count), CONTENT.empty_table()
        for batch in self._duckdb.sql(query).to_arrow_reader():
            rows = pa.concat_tables([rows, pa.Table.from_batches([batch]).cast(CONTENT)])
            while rows.num_rows >= size:
                yield rows.slice(0, size)
                rows = rows.slice(size)
        if rows.num_rows:
            yield rows

    def arrived_and_stored(self) -> int:
        """How many of those that arrive the store has by now."""
        self._register_stored()
        return self._count("arrives AND content_key IN (SELECT content_key FROM stored)")

    def _register_stored(self) -> None:
        stored = self._lake.dataset(self._store).scanner(
            columns=["content_key"], filter=pc.field("encoder") == self._fingerprint
        )
        self._duckdb.register("stored", stored.to_reader())

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
