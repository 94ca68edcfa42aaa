"""For each table and each kind of damage: exactly what is damaged is named, no other table and no other night."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from jobs import verify
from jobs.runtime.night import NightError
from jobs.verify import WHOLE, Damages, findings
from lake.errors import DamageError
from lake.lake import Lake
from schemas.features import FeaturesText
from schemas.table import Table
from schemas.tables import TABLES, Items, SimilarItems
from tests.compatibility.test_old_lake import LAST, ROWS, unpacked
from tests.jobs.nights import a_night
from tests.lake.test_damage import cut

FIRST = "2026-11-01"
Plant = Callable[[Path], object]
of_each_table = pytest.mark.parametrize("table", [TABLES[name] for name in ROWS], ids=lambda table: table.name)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two nights, RAW and LAKE, as an earlier version left them."""
    return unpacked(tmp_path_factory.mktemp("damage"))


@pytest.fixture
def lake(place: Path, tmp_path: Path) -> Iterator[Lake]:
    """Their lake; what is planted is gone again afterwards."""
    kept = shutil.copytree(place / "lake", tmp_path / "kept")
    yield Lake(str(place / "lake"))
    shutil.rmtree(place / "lake")
    kept.rename(place / "lake")


def folder(lake: Lake, table: type[Table]) -> Path:
    return Path(lake.filesystem(table)[1])


def first_file(lake: Lake, table: type[Table]) -> Path:
    return folder(lake, table) / min(lake.files(table)["path"].to_pylist())


def last_commit(lake: Lake, table: type[Table]) -> Path:
    return max((folder(lake, table) / "_delta_log").glob("*.json"))


def flip_last(path: Path) -> None:
    """A bit of the last page of the file."""
    group = pq.ParquetFile(path).metadata.row_group(0)
    column = group.column(group.num_columns - 1)
    data = bytearray(path.read_bytes())
    data[(column.dictionary_page_offset or column.data_page_offset) + column.total_compressed_size - 1] ^= 1
    path.write_bytes(data)


def one_row_more(path: Path) -> None:
    rows = pq.ParquetFile(path).read()
    _written(pa.concat_tables([rows, rows.slice(0, 1)]), path)


def one_value_changed(path: Path) -> None:
    """In the first column of texts, or else of numbers."""
    rows = pq.ParquetFile(path).read()
    text = [
        n for n, field in enumerate(rows.schema) if pa.types.is_string(field.type) and rows[n].null_count < len(rows)
    ]
    at = text[0] if text else next(n for n, field in enumerate(rows.schema) if pa.types.is_integer(field.type))
    values = rows[at].to_pylist()
    row = next(n for n, value in enumerate(values) if value is not None)
    values[row] = "another" if text else values[row] + 1_000_003
    _written(rows.set_column(at, rows.schema.field(at), pa.array(values, rows.schema.field(at).type)), path)


def _written(rows: pa.Table, path: Path) -> None:
    """As by a tool that knows nothing of the log."""
    pq.write_table(rows, path, compression="zstd", write_page_checksum=True)


KINDS: dict[str, Plant] = {
    "flipped bit": flip_last,
    "missing": Path.unlink,
    "truncated": cut,
    "extra row": one_row_more,
    "changed value": one_value_changed,
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_damage_is_found_where_it_is(lake: Lake, kind: str) -> None:
    """In one file of each table, and nowhere else."""
    damaged = {name: first_file(lake, TABLES[name]).relative_to(folder(lake, TABLES[name])) for name in ROWS}
    for name, path in damaged.items():
        KINDS[kind](folder(lake, TABLES[name]) / path)
    found = list(Damages.find(lake).findings())
    assert sorted(finding.table for finding in found) == sorted(damaged)
    for finding in found:
        path = damaged[finding.table]
        assert (finding.promise, finding.severity) == (WHOLE, "fail")
        assert finding.examples[0].startswith(f"{path} ")
        assert finding.place() == f"{finding.table}/{path.parent}"


@of_each_table
def test_no_other_partition_is_blamed_for_a_damaged_file(lake: Lake, table: type[Table]) -> None:
    path = first_file(lake, table)
    path.unlink()
    looked, broken = findings(lake)
    assert [(finding.place(), finding.promise) for finding in broken] == [
        (f"{table.name}/{path.relative_to(folder(lake, table)).parent}", WHOLE)
    ]
    assert looked > 100, "all promises are asked of what is left"


@of_each_table
def test_no_other_table_is_blamed_for_a_damaged_log(lake: Lake, table: type[Table]) -> None:
    commit = last_commit(lake, table)
    cut(commit)
    _, broken = findings(lake)
    assert [(finding.place(), finding.promise) for finding in broken] == [(table.name, WHOLE)]
    assert broken[0].examples[0].startswith(f"_delta_log/{commit.name} is cut off")


def test_a_damaged_partition_hides_no_breach_of_another_night(lake: Lake) -> None:
    """Shelves of the first night are lost; of the second, a rank is."""
    first_file(lake, SimilarItems).unlink()
    where = pc.field("date") == pa.scalar(LAST).cast(pa.date32())
    rows = lake.read(SimilarItems, where=where).filter(pc.field("rank") != 2)
    lake.write(SimilarItems, rows, {"date": LAST})
    _, broken = findings(lake)
    assert sorted((finding.place(), finding.promise) for finding in broken) == [
        (f"similar_items/date={FIRST}", WHOLE),
        (f"similar_items/date={LAST}", "ranks run from 1 without gaps"),
    ]


def verified(place: Path, date: str) -> str:
    """What the night's own verification says."""
    try:
        verify.run(a_night(date, place / "raw", Lake(str(place / "lake"))))
    except NightError as error:
        return str(error)
    return ""


def test_damage_of_an_old_partition_is_of_no_concern_to_later_nights(lake: Lake, place: Path) -> None:
    first_file(lake, SimilarItems).unlink()
    assert verified(place, LAST) == ""
    assert f"similar_items/date={FIRST}: {WHOLE}" in verified(place, FIRST)


def test_damage_of_what_a_night_rests_on_is_met_where_it_is_read(lake: Lake, place: Path) -> None:
    first_file(lake, Items).unlink()
    with pytest.raises(DamageError, match=f"items: date={FIRST}"):
        verified(place, LAST)


def test_a_lost_file_of_a_store_leaves_its_contents_lacking(lake: Lake, place: Path) -> None:
    """As the extraction of the night finds; `tests/jobs/extraction/test_lost_files.py` makes them anew."""
    from features.registry import vector_blocks
    from jobs.extraction.backlog import Contents, take_out_damaged

    night = a_night(LAST, place / "raw", lake)
    encoder = vector_blocks(night.config.extract.encoders)["text"][0].encoder
    lost = first_file(lake, FeaturesText)
    rows = pq.ParquetFile(lost).metadata.num_rows
    flip_last(lost)
    take_out_damaged(lake, "text", encoder)
    assert len(lake.read(FeaturesText)) == ROWS["features_text"] - rows
    with Contents(night, "text", encoder) as contents:
        assert contents.lacking == rows
    assert [path.name for path in (place / "lake" / "aside").rglob("*.parquet")] == [lost.name]


def test_the_tables_of_every_promise_are_known() -> None:
    for table in TABLES.values():
        for check in table.all_checks():
            assert table.name in verify.tables_of(check.sql), check.name
    kept = next(check for check in TABLES["ledger"].checks if "features_audio" in check.sql)
    assert verify.tables_of(kept.sql) == {"ledger", "items", "features_audio", "quarantine"}
