import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion.data.subsets import without_modality, without_share
from tests.fusion.worlds import catalog_of


def catalog(n=10):
    there = {"text": np.arange(n) != 0, "image": np.arange(n) % 2 == 0}
    return catalog_of(np.full((n, 2), 3.0), image=np.full((n, 4), 5.0), masks=there, categories=["c"] * n)


def test_a_hidden_modality_is_there_for_no_item():
    before = catalog()
    after = without_modality(before, "image")
    assert not after.masks["image"].any() and not after.vectors["image"].any()
    assert after.vectors["image"].shape == (10, 4)
    assert after.vectors["text"] is before.vectors["text"] and after.masks["text"] is before.masks["text"]
    assert after.categories.tolist() == before.categories.tolist()
    assert before.masks["image"].sum() == 5 and before.vectors["image"].any()


def test_a_share_of_each_modality_is_hidden():
    """Of nine texts and five images, .6 are 5 and 3; audio, which no item has, stays so."""
    before, after = catalog(), without_share(catalog(), 0.6, seed=1)
    assert {m: int(mask.sum()) for m, mask in after.masks.items()} == {
        "text": 4,
        "image": 2,
        "audio": 0,
        "video": 0,
        "attributes": 0,
    }
    for modality, mask in after.masks.items():
        assert not (mask & ~before.masks[modality]).any()
        assert (after.vectors[modality][~mask] == 0).all()
        assert (after.vectors[modality][mask] == before.vectors[modality][mask]).all()
    assert without_share(catalog(), 0.6, seed=1).masks["text"].tolist() == after.masks["text"].tolist()
    assert without_share(catalog(), 0.6, seed=2).masks["text"].tolist() != after.masks["text"].tolist()


def test_modalities_lose_items_of_their_own():
    both = catalog_of(np.ones((40, 2)), image=np.ones((40, 2)))
    after = without_share(both, 0.5, seed=0)
    assert after.masks["text"].tolist() != after.masks["image"].tolist()


@given(st.floats(0, 1), st.floats(0, 1), st.integers(0, 9))
def test_what_a_smaller_share_hides_a_larger_one_hides_too(one, other, seed):
    less, more = (without_share(catalog(), share, seed=seed).masks["text"] for share in sorted([one, other]))
    assert not (more & ~less).any()


def test_none_and_all():
    assert without_share(catalog(), 0, seed=0).masks["text"].sum() == 9
    assert not any(mask.any() for mask in without_share(catalog(), 1, seed=0).masks.values())


def test_refuses():
    with pytest.raises(ValueError, match="'smell'"):
        without_modality(catalog(), "smell")
    with pytest.raises(ValueError, match=r"share 1\.5"):
        without_share(catalog(), 1.5, seed=0)
