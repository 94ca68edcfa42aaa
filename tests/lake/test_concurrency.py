"""Law 2: a partition changes in one commit, and no key of a feature store ever stands twice."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest

from lake.lake import Lake
from schemas.tables import UserEmbeddings
from tests.lake.test_lake import NIGHT, Contents, embeddings, texts, users


@pytest.fixture(params=["disk", "s3"])
def lake(request: pytest.FixtureRequest, lake: Lake) -> Lake:
    """On disk, where a commit is a link, and on S3, where it is a put that is refused if the version is there."""
    return lake if request.param == "disk" else Lake(request.getfixturevalue("bucket"))


def test_nights_that_write_at_the_same_time_all_arrive(lake: Lake) -> None:
    nights = [NIGHT + dt.timedelta(days=i) for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: lake.write(UserEmbeddings, embeddings(str(n), night=n), {"date": n}), nights))
    assert users(lake) == [str(n) for n in nights]


def test_a_reader_sees_the_old_partition_or_the_new_one(lake: Lake) -> None:
    lake.write(UserEmbeddings, embeddings("a", "b", value=1.0), {"date": NIGHT})

    def rewrite() -> None:
        for value in range(2, 8):
            lake.write(UserEmbeddings, embeddings("a", "b", value=float(value)), {"date": NIGHT})

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(rewrite)
        while not writing.done():
            vectors = lake.read(UserEmbeddings)["vector"].to_pylist()
            assert len(vectors) == 2 and vectors[0] == vectors[1]
        writing.result()


def test_content_extracted_by_two_nights_at_once_stands_once(lake: Lake) -> None:
    def extract(first: int) -> int:
        rows = texts(*(f"k{i}" for i in range(first, first + 4)))
        file = lake.stage(Contents, rows.to_batches(), {"encoder": "e"})
        assert file
        return lake.append_new(Contents, [file], {"encoder": "e"})

    with ThreadPoolExecutor(6) as pool:
        added = list(pool.map(extract, range(6)))
    keys = lake.read(Contents)["content_key"].to_pylist()
    assert sorted(keys) == sorted(set(keys)) == [f"k{i}" for i in range(9)]
    assert sum(added) == 9
