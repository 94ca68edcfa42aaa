"""Items like one of the catalog are those that the night found; items like a text are those whose words it has."""

import datetime as dt
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from features.registry import encoder
from jobs.runtime.night import UserError
from jobs.similar import similar_to_content, similar_to_item
from lake.lake import Lake
from schemas.config import Config
from schemas.tables import TABLES, ItemEmbeddings, Items, SimilarItems
from tests.lake.test_views import FIRST, SECOND, version, write

CONFIG = Config.model_validate({"extract": {"encoders": {"text": {"name": "bag-of-words"}, "image": {"name": "hog"}}}})


def shown(capsys: pytest.CaptureFixture[bytes]) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def shop(lake: Lake) -> Lake:
    """Shoes and a mug of the first night; on the second the mug is deleted."""
    texts = {"shoes": "red running shoes", "mug": "a mug for green tea", "chair": "a chair"}
    write(lake, Items, *(version(item, FIRST, text, text_key=item) for item, text in texts.items()))
    write(lake, Items, version("mug", SECOND, "", deleted=True))
    made = encoder("text", "bag-of-words")
    vectors = made.encode([made.decode(text) for text in texts.values()])["vector"].to_pylist()
    rows = zip(texts, vectors, strict=True)
    identity = {"encoder": made.fingerprint, "date": FIRST}
    write(lake, TABLES["features_text"], *({"content_key": key, "vector": v} | identity for key, v in rows))
    return lake


@pytest.mark.parametrize(("text", "first"), [("Red running shoes", "shoes"), ("green tea", "mug")])
def test_a_text_finds_the_items_that_have_its_words(
    shop: Lake, text: str, first: str, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    similar_to_content(shop, "text", text, CONFIG, night=FIRST, k=2, format_="json")
    found = shown(capsysbinary)
    assert [row["rank"] for row in found] == [1, 2] and found[0]["item_id"] == first
    assert found[0]["score"] > found[1]["score"]
    assert text != "Red running shoes" or found[0]["score"] == pytest.approx(1)


def test_what_is_deleted_is_not_found(shop: Lake, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    similar_to_content(shop, "text", "green tea", CONFIG, night=None, k=9, format_="json")
    assert {row["item_id"] for row in shown(capsysbinary)} == {"shoes", "chair"}


def test_a_text_in_the_words_of_another_encoder_is_refused(shop: Lake) -> None:
    other = Config.model_validate({"extract": {"encoders": {"text": {"name": "word-vectors"}}}})
    with pytest.raises(
        UserError, match=r"no text has vectors under word-vectors-\w+; there are bag-of-words-\w+; give"
    ):
        similar_to_content(shop, "text", "tea", other, night=None, k=1, format_="csv")
    given = Config.model_validate(
        {"extract": {"encoders": {"text": {"name": "given", "parameters": {"name": "x", "dim": 3}}}}}
    )
    with pytest.raises(UserError, match="no encoder reads a text"):
        similar_to_content(shop, "text", "tea", given, night=None, k=1, format_="csv")
    with pytest.raises(UserError, match="expected words"):
        similar_to_content(shop, "text", " \n", CONFIG, night=None, k=1, format_="csv")


def striped(folder: Path, name: str, *, across: bool) -> Path:
    """A picture of stripes."""
    rows = np.tile(np.repeat(np.uint8([0, 255]), 8), 4)
    pixels = np.broadcast_to(rows[:, None] if across else rows[None], (64, 64))
    Image.fromarray(np.ascontiguousarray(pixels)).save(folder / name)
    return folder / name


def test_a_picture_finds_the_items_that_have_one_like_it(
    lake: Lake, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    """Of an item with several the nearest counts."""
    made = encoder("image", "hog")
    across, down = (striped(tmp_path, f"{across}.png", across=across) for across in (True, False))
    vectors = made.encode([made.decode(across), made.decode(down)])["vector"].to_pylist()
    write(lake, Items, version("a", FIRST, "down", image_keys=["down"], image_uris=["d.png"]))
    both = {"image_keys": ["down", "across"], "image_uris": ["d.png", "a.png"]}
    write(lake, Items, version("b", SECOND, "both", **both), version("c", SECOND, "none"))
    identity = {"encoder": made.fingerprint, "date": FIRST}
    rows = zip(("across", "down"), vectors, strict=True)
    write(lake, TABLES["features_image"], *({"content_key": key, "vector": v} | identity for key, v in rows))
    similar_to_content(lake, "image", across, CONFIG, night=None, k=9, format_="json")
    found = shown(capsysbinary)
    assert [row["item_id"] for row in found] == ["b", "a"]
    assert found[0]["score"] == pytest.approx(1) and found[1]["score"] < 0.9
    (tmp_path / "words.png").write_text("no picture")
    with pytest.raises(UserError, match=r"--image '.*words.png': .*; expected a picture file"):
        similar_to_content(lake, "image", tmp_path / "words.png", CONFIG, night=None, k=1, format_="csv")


def test_an_item_has_the_neighbours_of_the_night(lake: Lake, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    write(lake, Items, version("a", FIRST, "a"), version("b", FIRST, "bee"), version("c", FIRST, "sea"))
    write(lake, ItemEmbeddings, {"date": FIRST, "item_id": "c", "vector": [1.0]})
    pair = {"date": FIRST, "item_id": "a"}
    places = ((1, "c", 0.5), (2, "b", 0.25))
    rows = [pair | {"rank": rank, "similar_item_id": other, "score": score} for rank, other, score in places]
    write(lake, SimilarItems, *rows)
    similar_to_item(lake, "a", night=None, k=9, format_="json")
    assert [(row["rank"], row["title"], row["score"]) for row in shown(capsysbinary)] == [
        (1, "sea", 0.5),
        (2, "bee", 0.25),
    ]
    with pytest.raises(UserError, match="'c' shares no modality with any other item on 2026-11-01"):
        similar_to_item(lake, "c", night=None, k=9, format_="json")
    with pytest.raises(UserError, match="'a' is not in the catalog of 2026-11-09"):
        similar_to_item(lake, "a", night=dt.date(2026, 11, 9), k=9, format_="json")
