"""A whole night with RAW and LAKE on S3."""

from pathlib import Path

import pyarrow.fs as pafs
import pytest

from lake import storage
from tests.deploy.nights import NIGHT, Rows, nightweave, run_night

pytestmark = [pytest.mark.night, pytest.mark.timeout(1800)]


@pytest.mark.at_length
def test_a_night_on_s3_gives_the_rows_of_a_night_on_disk(catalog: Path, on_disk: Rows, bucket: str) -> None:
    raw, lake = f"{bucket}/raw", f"{bucket}/lake"
    store, root = storage.filesystem(raw)
    pafs.copy_files(str(catalog), root, source_filesystem=pafs.LocalFileSystem(), destination_filesystem=store)
    rows = run_night(raw, lake)
    assert rows.keys() == on_disk.keys()
    for table, expected in on_disk.items():
        assert rows[table] == expected, table
    assert rows["recommendations"] and rows["features_video"]

    assert nightweave("report", "--date", NIGHT, "--lake", lake).strip().endswith(f"lake/reports/{NIGHT}.html")
    assert "is recommended" in nightweave("explain", "--date", NIGHT, "--lake", lake)
    assert " 0 broken" in nightweave("verify", "--lake", lake)
    counted = nightweave("query", "SELECT count(*) AS n FROM items", "--format", "csv", "--lake", lake)
    assert counted.split() == ['"n"', str(len(on_disk["items"]))]
