"""What a run of a night has made and no reader sees yet.

Its files lie in the folders of their tables, where no log names them. Small files under `LAKE/staged/NIGHT` do: one for
each partition, with all that it is to consist of. `lake.publication` brings them into the logs.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any, Self
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
from deltalake import DeltaTable

from lake import files, storage
from lake.commits import in_partition, mark
from lake.lake import STAGED, Lake, files_schema
from lake.writer import StagedFile
from schemas.table import Table
from schemas.tables import BY_NIGHT, LOOKED_BACK_ON, TABLES

RUN, AUDIT = "run.json", "audit.json"


@dataclass(frozen=True)
class Part:
    """All that one partition of a table is to consist of, or consists of.

    Attributes:
        made_from: name → version of tables that the rows were made from, as in `Lake.replace`.
    """

    table: str
    partition: Mapping[str, str]
    files: tuple[StagedFile, ...]
    made_from: Mapping[str, int]

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Self:
        """Return the part that `asdict` was made of, or that Arrow read from `published`."""
        staged = tuple(StagedFile(**file) for file in found["files"])
        return cls(found["table"], dict(found["partition"]), staged, dict(found["made_from"] or ()))


@dataclass(frozen=True)
class StagedNight(Lake):
    """The lake as the steps of one night's run see it: what they write of the night is staged, and is read in the place
    of what is published of it."""

    night: str = ""

    def replace(
        self,
        table: type[Table],
        files: Iterable[StagedFile],
        partition: Mapping[str, str],
        *,
        made_from: Mapping[str, int] | None = None,
    ) -> int:
        """Stage `files` as the whole content of a partition of the night, where its table is published by night.

        Returns: the table's version, which then stays.
        """
        if table not in BY_NIGHT or partition.get("date") != self.night:
            return super().replace(table, files, partition, made_from=made_from)
        stage(self, self.night, Part(table.name, dict(partition), tuple(files), dict(made_from or {})))
        return self.version(table)

    def begin(self, *, publish: bool) -> None:
        """Begin a run of the night: what later steps of an earlier one have staged goes.

        What the first step stages stays, for it replaces all of it: a run that was given up and still goes on would
        find its own rows gone.

        Args:
            publish: whether it is to be published; if not, later nights do not wait for it.
        """
        filesystem, root = storage.filesystem(self.uri)
        stale = [_name(part) for part in parts(self, self.night) if not _of_first_step(part)]
        for name in {*stale, AUDIT}.intersection(files.names(self, f"{STAGED}/{self.night}")):
            filesystem.delete_file(f"{root}/{STAGED}/{self.night}/{name}")
        files.write_json(self, f"{STAGED}/{self.night}/{RUN}", {"publish": publish})

    def record_audit(self, *, passed: bool) -> None:
        """Record that exactly what is staged now was audited; where nothing is, there is nothing to record."""
        if staged := parts(self, self.night):
            content = {"parts": digest(staged), "passed": passed}
            files.write_json(self, f"{STAGED}/{self.night}/{AUDIT}", content)

    def made_from(self, table: type[Table], partition: Mapping[str, str]) -> dict[str, int]:
        for part in self._parts(table):
            if part.partition == partition:
                return dict(part.made_from)
        return super().made_from(table, partition)

    def _files(self, table: type[Table], delta: DeltaTable | None, partition: Mapping[str, str]) -> pa.Table:
        live, schema = super()._files(table, delta, partition), files_schema(table)
        for part in self._parts(table):
            if any(part.partition[column] != value for column, value in partition.items()):
                continue
            live = live.select(schema.names).cast(schema)
            values = {c: pa.scalar(v).cast(table.schema.field(c).type) for c, v in part.partition.items()}
            others = pc.invert(in_partition(live, part.partition))
            partition_of = {f"partition.{column}": value.as_py() for column, value in values.items()}
            rows = [
                {"path": file.path, "size_bytes": file.size, "num_records": file.rows} | partition_of
                for file in part.files
            ]
            live = pa.concat_tables([live.filter(others), pa.Table.from_pylist(rows, schema)])
        return live

    def _parts(self, table: type[Table]) -> list[Part]:
        return parts(self, self.night, table) if table in BY_NIGHT else []


def nights(lake: Lake) -> list[str]:
    """Return the nights that something is staged of, or that a run has begun, ascending, as `YYYY-MM-DD`."""
    filesystem, root = storage.filesystem(lake.uri)
    found = filesystem.get_file_info(pafs.FileSelector(f"{root}/{STAGED}", allow_not_found=True))
    folders = [info.base_name for info in found if info.type == pafs.FileType.Directory]
    # A folder without one of our files was left by a process that died as it made it, or as it discarded the night.
    return sorted(night for night in folders if any(map(_is_ours, files.names(lake, f"{STAGED}/{night}"))))


def to_be_published(lake: Lake) -> list[str]:
    """Return the nights of `nights` whose run is to be published."""
    return [night for night in nights(lake) if (_read(lake, night, RUN) or {}).get("publish", True)]


def stage(lake: Lake, night: str, part: Part) -> None:
    """Stage a partition of a night, in the place of what may be staged of it."""
    files.write_json(lake, f"{STAGED}/{night}/{_name(part)}", asdict(part))


def parts(lake: Lake, night: str, table: type[Table] | None = None) -> list[Part]:
    """Return what is staged of a night, in all tables or in one, by table and partition."""
    begins = f"{table.name}." if table else ""
    names = files.names(lake, f"{STAGED}/{night}")
    wanted = [name for name in names if name not in (RUN, AUDIT) and name.startswith(begins) and name.endswith(".json")]
    # One that is gone by now was discarded, or published, in between.
    found = [content for name in wanted if (content := _read(lake, night, name)) is not None]
    return [Part.of(content) for content in found]


def discard(lake: Lake, night: str) -> None:
    """Give up what is staged of a night. Its files stay until maintenance finds that nothing names them.

    What says that it was audited goes first, so that half of it, where the process dies on the way, is never published.
    """
    filesystem, root = storage.filesystem(lake.uri)
    folder = f"{root}/{STAGED}/{night}"
    with suppress(FileNotFoundError):  # another process, which carries out the same change, was faster
        for name in sorted(files.names(lake, f"{STAGED}/{night}"), key=lambda name: name not in (AUDIT, RUN)):
            filesystem.delete_file(f"{folder}/{name}")
    if filesystem.get_file_info(folder).type == pafs.FileType.Directory:
        filesystem.delete_dir(folder)


def passed_audit(lake: Lake, night: str, staged: Iterable[Part]) -> bool | None:
    """Return whether what `parts` returned passed its audit; None where it was not audited."""
    found = _read(lake, night, AUDIT)
    if found is None or found["parts"] != digest(staged):
        return None
    return bool(found["passed"])


def digest(staged: Iterable[Part]) -> str:
    """Return a SHA-256, hex, of which files are staged for what."""
    content = [asdict(replace(part, files=tuple(sorted(part.files, key=lambda file: file.path)))) for part in staged]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def as_of(lake: Lake, night: date | str) -> StagedNight:
    """Return the lake as the steps of a night's run see it."""
    return StagedNight(lake.uri, night=str(night))


def _of_first_step(part: Part) -> bool:
    return TABLES[part.table] in LOOKED_BACK_ON or any(value.startswith("clean_") for value in part.partition.values())


def _is_ours(name: str) -> bool:
    return name.endswith(".json")


def _name(part: Part) -> str:
    return f"{part.table}.{quote(mark(part.partition), safe='=')}.json"


def _read(lake: Lake, night: str, name: str) -> Any:
    return files.read_json(lake, f"{STAGED}/{night}/{name}")
