import numpy as np
import pytest

from fusion.data.catalog import Catalog, History
from fusion.data.reviews import Reviews, with_reviews

OWN = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], np.float32)


@pytest.fixture
def catalog() -> Catalog:
    """Items a and b have a text of their own, c has none; nothing else is known of any."""
    nothing = {m: np.zeros((3, 1), np.float32) for m in ("image", "audio", "video")}
    masks = {"text": np.array([True, True, False]), **{m: np.zeros(3, np.bool_) for m in nothing}}
    return Catalog(np.array(["a", "b", "c"]), {"text": OWN, **nothing}, masks)


@pytest.fixture
def reviews() -> Reviews:
    """User 0 wrote about a and c, user 1 about a: [0, 2], [4, 4] and [0, 4]."""
    vectors = np.array([[0.0, 2.0], [4.0, 4.0], [0.0, 4.0]], np.float32)
    return Reviews(*(np.array(column, np.int32) for column in ([0, 0, 1], [0, 2, 0], [0, 1, 2])), vectors)


def history(*pairs: tuple[int, int]) -> History:
    user, item = np.array(pairs, np.int32).reshape(-1, 2).T
    ones = np.ones(len(pairs), np.float32)
    return History(np.array(["u", "v"]), user, item, np.arange(len(pairs)), ones, ones * np.nan)


def test_reviews_are_averaged_and_weigh_their_share(catalog: Catalog, reviews: Reviews) -> None:
    read = with_reviews(catalog, reviews, history((0, 0), (0, 2), (1, 0)), share=0.25)
    np.testing.assert_allclose(read.vectors["text"], [[0.75, 0.75], [0.0, 1.0], [4.0, 4.0]])
    assert read.masks["text"].all()


def test_what_is_not_known_yet_is_not_read(catalog: Catalog, reviews: Reviews) -> None:
    read = with_reviews(catalog, reviews, history((0, 0)), share=0.5)
    np.testing.assert_allclose(read.vectors["text"], [[0.5, 1.0], [0.0, 1.0], [0.0, 0.0]])
    assert read.masks["text"].tolist() == [True, True, False]


def test_without_reviews_the_catalog_stays_as_it_is(catalog: Catalog, reviews: Reviews) -> None:
    assert with_reviews(catalog, reviews, history(), share=0.5) is catalog
