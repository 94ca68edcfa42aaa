"""A disk without room for the next partition: what was published stays, and there is room again after all."""

from pathlib import Path

import pyarrow as pa
import pytest

from lake.lake import Lake
from schemas.tables import UserEmbeddings
from tests.faults.disk import CannotMountError, make_room, small_disk
from tests.lake.test_lake import NIGHT

WIDTH = 64


def embeddings(rows: int, *, seed: float) -> pa.Table:
    """Vectors that compress badly."""
    vectors = [[(seed + row * WIDTH + n) ** 0.5 for n in range(WIDTH)] for row in range(rows)]
    users = [{"date": NIGHT, "user_id": f"u{n}", "model_version": "m", "vector": v} for n, v in enumerate(vectors)]
    return pa.Table.from_pylist(users, schema=UserEmbeddings.schema)


def test_a_full_disk_leaves_the_old_partition(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    try:
        with small_disk(disk, 256 * 2**10):
            lake = Lake(str(disk / "lake"))
            lake.write(UserEmbeddings, embeddings(50, seed=1), {"date": NIGHT})
            before = lake.read(UserEmbeddings)
            with pytest.raises(OSError, match="No space left"):
                lake.write(UserEmbeddings, embeddings(5000, seed=2), {"date": NIGHT})
            assert lake.read(UserEmbeddings).equals(before)
            make_room(disk)
            lake.write(UserEmbeddings, embeddings(5000, seed=2), {"date": NIGHT})
            assert len(lake.read(UserEmbeddings)) == 5000
    except CannotMountError as why:
        pytest.skip(f"no file system of a set size can be mounted here: {why}")
