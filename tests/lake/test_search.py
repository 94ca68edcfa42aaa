"""The id of a user or an item is found in every kind of file that a lake has, and other ids are not taken for it."""

import bz2
import gzip
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake import search as module
from lake.forgotten import Subject
from lake.search import Id, search

ADA = Subject("user", "ada&co-ü1")
NOT_ADA = ("ada&co-ü12", "xada&co-ü1", "ada&co-ü1_", "ada-co-ü1")
BYTES = "its bytes"


def found(folder: Path, name: str, data: bytes, subject: Subject = ADA) -> list[tuple[str, int]]:
    """Where a file is found to hold the id; the search sees this file alone."""
    (folder / "a").mkdir(exist_ok=True)
    path = folder / "a" / name
    path.write_bytes(data)
    searched = search(pafs.LocalFileSystem(), str(folder), ["a", "absent"], subject)
    path.unlink()
    assert (searched.files, searched.size) == (1, len(data))
    assert all(one.path == f"a/{name}" for one in searched.found)
    return [(one.where, one.times) for one in searched.found]


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def saved(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def parquet(**columns: pa.Array) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, compression="zstd", write_statistics=False, use_dictionary=False)
    return file.getvalue()


@pytest.mark.parametrize(
    ("written", "times"),
    [
        (f"<{ADA.id}> {ADA.id},{' '.join(NOT_ADA)}".encode(), 2),
        (json.dumps({ADA.id: "x", "stats": json.dumps(ADA.id)}).encode(), 2),  # as a log of Delta's has its statistics
        (b"<td>ada&amp;co-\xc3\xbc1</td><a href='?u=ada%26co-%C3%BC1'>", 2),
        (f"x{ADA.id}".encode("utf-16-le") + f" {ADA.id}".encode("utf-32-le"), 1),
        (" ".join(NOT_ADA).encode(), 0),
    ],
)
def test_bytes_hold_the_word_in_the_ways_in_which_text_is_written(tmp_path: Path, written: bytes, times: int) -> None:
    assert found(tmp_path, "x.html", written) == ([(BYTES, times)] if times else [])


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lambda data: pa.compress(data, "zstd", asbytes=True)])
def test_what_is_compressed_is_expanded(tmp_path: Path, pack) -> None:
    assert ("expanded: its bytes", 1) in found(tmp_path, "x", pack(f"a {ADA.id}\n".encode()))
    assert found(tmp_path, "x", pack(b"nobody\n")) == []


def test_arrays_are_searched_by_element_and_archives_by_member(tmp_path: Path) -> None:
    users, items = np.array([ADA.id, "bob", NOT_ADA[0]]), np.array(["lamp", ADA.id])
    model = zipped(**{"weights.h5": f"x {ADA.id} y".encode(), "served.npz": saved(user_ids=users, item_ids=items)})
    assert found(tmp_path, "m.keras", model) == [
        ("weights.h5: its bytes", 1),
        ("served.npz: user_ids.npy: its elements", 1),
    ]
    assert found(tmp_path, "a.npz", saved(names=np.array([f"of {ADA.id}"]))) == [("names.npy: its elements", 1)]


def test_parquet_is_searched_by_value_and_by_what_a_column_means(tmp_path: Path) -> None:
    maps = pa.array([[("of", ADA.id)], [(ADA.id, "x")]], pa.map_(pa.string(), pa.string()))
    table = parquet(
        user_id=pa.array([ADA.id, NOT_ADA[0]]),
        item_id=pa.array(["lamp", ADA.id]),
        text=pa.array([None, f"by {ADA.id}, {NOT_ADA[1]}"]),
        tags=pa.array([[ADA.id], None]),
        attributes=maps,
        said=pa.array(["x", ADA.id]).dictionary_encode(),
    )
    columns = [place for place in found(tmp_path, "t.parquet", table) if place[0] != BYTES]
    assert dict(columns) == {
        "column user_id": 1, "column text": 1, "column tags": 1, "column attributes.key": 1,
        "column attributes.value": 1, "column said": 1,
    }  # fmt: skip
    assert dict(found(tmp_path, "t.parquet", table, Subject("item", ADA.id)))["column item_id"] == 1


def test_a_short_id_is_found_in_columns_of_its_kind_alone(tmp_path: Path) -> None:
    seven = Subject("user", "7")
    table = parquet(user_id=pa.array([7, 77]), item_id=pa.array([7, 7]), title=pa.array(["7", "seven 7"]))
    assert found(tmp_path, "7.parquet", table, seven) == [("column user_id", 1)]
    assert found(tmp_path, "7.html", b"7 of 7", seven) == []


def test_a_name_that_holds_the_id_and_a_file_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    assert found(tmp_path, f"{ADA.id}.txt", b"x") == [("its name", 1)]
    ((where, _),) = found(tmp_path, "torn.parquet", parquet(a=pa.array(["x"]))[:-9])
    assert where.startswith("it cannot be read: ")
    assert search(pafs.LocalFileSystem(), str(tmp_path), ["absent"], ADA).found == ()


@given(
    st.lists(st.sampled_from([b"ada-07", b"x", b" ", b"ada-071", b"0", "ada-07".encode("utf-32-le")]), max_size=40),
    st.integers(40, 90),
)
def test_a_file_that_is_read_in_blocks_holds_the_id_as_often_as_its_bytes(pieces: list[bytes], block: int) -> None:
    data, wanted = b"".join(pieces), Id(Subject("user", "ada-07"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "BLOCK_BYTES", block)
        patched.setattr(module, "OVERLAP_BYTES", 32)
        assert wanted.in_stream(pa.PythonFile(io.BytesIO(data), mode="r")) == wanted.in_data(data)
