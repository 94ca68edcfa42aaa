"""Repair takes what is damaged out of a table, keeps all of it, and says what was lost."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest

from lake.lake import Lake
from lake.repair import Aside, repair
from schemas.tables import UserEmbeddings
from tests.lake.test_damage import LOG, NIGHTS, OF_COMMITS, OF_FILES, a_file, checkpoint, cut, empty, folder, three
from tests.lake.test_lake import NIGHT, Contents, embeddings, texts

__all__ = ["checkpoint", "three"]
Plant = Callable[[Path], object]


def everything(lake: Lake) -> dict[str, bytes]:
    """Every file of the lake by its path; of what was moved aside its path before."""
    root = folder(lake).parent
    found = {path.relative_to(root).parts: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    return {"/".join(parts[2:] if parts[0] == "aside" else parts): data for parts, data in found.items()}


def repaired(lake: Lake, table: type = UserEmbeddings) -> list[str]:
    done = list(repair(lake, table, Aside(lake)))
    assert list(lake.damaged(table)) == []
    return [f"{one.words()} {sorted(p.get('date', '') for p in one.partitions)}" for one in done]


def nights(lake: Lake) -> list[dt.date]:
    return sorted(set(lake.read(UserEmbeddings)["date"].to_pylist()))


@pytest.mark.parametrize("plant", OF_FILES.values(), ids=OF_FILES)
def test_of_a_night_with_a_damaged_file_the_whole_partition_goes(lake: Lake, plant: Plant) -> None:
    lake.write(UserEmbeddings, embeddings("z", night=NIGHTS[1]), {"date": NIGHTS[1]})
    parts = [lake.stage(UserEmbeddings, embeddings(user).to_batches(), {"date": str(NIGHT)}) for user in "ab"]
    lake.replace(UserEmbeddings, [part for part in parts if part], {"date": str(NIGHT)})
    first = min((folder(lake) / f"date={NIGHT}").iterdir())
    plant(first)
    before = everything(lake)
    (said,) = repaired(lake)
    assert said.startswith(f"user_embeddings: {first.relative_to(folder(lake))} ")
    assert said.endswith(f"2 files of date={NIGHT} taken out, moved to aside/1 ['{NIGHT}']")
    assert nights(lake) == [NIGHTS[1]]
    after = everything(lake)
    assert {path: after[path] for path in before} == before, "nothing was deleted or changed"


@pytest.mark.parametrize("plant", OF_FILES.values(), ids=OF_FILES)
def test_of_a_store_the_damaged_file_goes_and_no_other(lake: Lake, plant: Plant) -> None:
    encoder = {"encoder": "e"}
    for keys in (("a", "b"), ("c",)):
        lake.append_new(Contents, [lake.stage(Contents, texts(*keys).to_batches(), encoder)], encoder)
    root = Path(lake.filesystem(Contents)[1])
    (path,) = (f["path"] for f in lake.files(Contents).to_pylist() if f["num_records"] == 2)
    if plant is OF_FILES["flipped"]:
        from tests.lake.test_damage import flip

        flip(root / path, "content_key")
    else:
        plant(root / path)
    (said,) = repaired(lake, Contents)
    assert "the next night extracts what it held" in said
    assert lake.read(Contents)["content_key"].to_pylist() == ["c"]


@pytest.mark.parametrize("plant", OF_COMMITS.values(), ids=OF_COMMITS)
@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_log_goes_back_to_its_last_version_that_can_be_read(three: Lake, plant: Plant, version: int) -> None:
    plant(folder(three) / LOG / f"{version:020}.json")
    before = everything(three)
    (said,) = repaired(three)
    lost = NIGHTS[version - 1 :]
    assert f"{LOG}/{version:020}.json is " in said
    assert said.endswith(
        f"back at version {version - 1}, {4 - version} commits moved to aside/1 {[str(night) for night in lost]}"
    )
    assert nights(three) == NIGHTS[: version - 1]
    assert everything(three) == before, "nothing was deleted or changed"
    for night in lost:
        three.write(UserEmbeddings, embeddings("a", "b", night=night), {"date": night})
    assert nights(three) == NIGHTS


def test_a_log_of_which_nothing_can_be_read_is_an_empty_table(three: Lake) -> None:
    cut(folder(three) / LOG / f"{0:020}.json")
    before = everything(three)
    (said,) = repaired(three)
    assert "no version of it can be read: it is empty" in said and said.endswith(str([str(n) for n in NIGHTS]))
    assert three.version(UserEmbeddings) == 0 and nights(three) == []
    assert everything(three) == before


@pytest.mark.parametrize("plant", [cut, empty, Path.unlink])
def test_without_a_checkpoint_the_commits_say_the_same(three: Lake, checkpoint: Path, plant: Plant) -> None:
    plant(checkpoint)
    (said,) = repaired(three)
    assert said.endswith("the commits before it say the same []")
    assert len(nights(three)) == 4


def test_a_second_repair_keeps_what_the_first_one_kept(three: Lake) -> None:
    for number in (1, 2):
        a_file(three, NIGHTS[number]).write_bytes(b"torn")
        repaired(three)
    aside = folder(three).parent / "aside"
    assert [len(list((aside / str(n)).rglob("*.parquet"))) for n in (1, 2)] == [1, 1]


def test_a_whole_table_is_left_alone(three: Lake) -> None:
    before = everything(three)
    assert repaired(three) == [] and everything(three) == before
