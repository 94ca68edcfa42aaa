"""An asset is a table's place: one for each table, whatever the folder is called."""

from pathlib import Path

import pytest

from dags.wiring import assets
from lake.lake import Lake
from schemas.tables import TABLES, Items


@pytest.mark.parametrize("name", ["plain", "a#b", "a?b=c", "a b", "50% off", "日本"])
def test_assets_are_told_apart_in_a_folder_of_any_name(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for base in (str(tmp_path / name), (tmp_path / name).as_uri()):
        monkeypatch.setenv("NIGHTWEAVE_RAW", base)
        monkeypatch.setenv("NIGHTWEAVE_LAKE", base)
        uris = [asset.uri for asset in (*assets.tables(*TABLES), assets.raw("interactions"))]
        assert len(set(uris)) == len(TABLES), "RAW and LAKE have the same place here"
        assert assets.table("items").uri == Lake(base).table_uri(Items)


@pytest.mark.parametrize("base", ["file:///srv/a#b", "s3://bucket/a#b", "s3://bucket/a?b"])
def test_a_uri_that_was_not_encoded_loses_nothing(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTWEAVE_RAW", base)
    items, interactions = assets.raw("items"), assets.raw("interactions")
    assert items.uri != interactions.uri
    assert [asset.uri.rpartition("/")[2] for asset in (items, interactions)] == ["items", "interactions"]


def test_a_link_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.setenv("NIGHTWEAVE_LAKE", str(tmp_path / "link"))
    assert assets.table("items").uri == f"{tmp_path.as_uri()}/link/items"
