"""Planted contradictions are found, and nothing is where modalities say nothing of one another."""

import numpy as np
import pytest
from scipy.stats import norm

from fusion.crossmodal.contradiction import contradictions, limit
from fusion.crossmodal.projected_items import ProjectedItems
from tests.fusion.crossmodal.test_crossmodal import items_of

N, PLANTED = 600, 30


def world(*, noise=0.7, seed=0, modalities=("text", "image"), planted=PLANTED, uneven=0.0):
    """Modalities that are noisy linear functions of the same eight numbers, and `planted` items with another's last
    modality. With `uneven`, some items are far noisier than others."""
    random = np.random.default_rng(seed)
    truth = random.normal(size=(N, 8))
    scale = noise * np.exp(uneven * random.normal(size=(N, 1)))
    x = {m: truth @ random.normal(size=(8, 20)) / np.sqrt(8) + scale * random.normal(size=(N, 20)) for m in modalities}
    swapped = random.permutation(N)[:planted]
    x[modalities[-1]][swapped] = x[modalities[-1]][np.roll(swapped, 1)]
    return items_of(**x), swapped


def everyone(items: ProjectedItems):
    return np.ones(len(items), bool)


@pytest.mark.parametrize(("noise", "recall", "precision"), [(0.3, 0.8, 0.95), (0.5, 0.5, 0.9), (0.7, 0.4, 0.7)])
def test_planted_swaps_are_found(noise, recall, precision):
    """Where guessing has 0.05 of both: the less modalities share, the less can be found."""
    items, planted = world(noise=noise)
    found = contradictions(items, train=everyone(items), seed=0, rate=0.01)
    hits = found.flag[planted].sum()
    assert hits / PLANTED > recall
    assert hits / found.flag.sum() > precision
    assert found.score[planted].mean() < 0.5 < 1.8 < np.delete(found.score, planted).mean()


@pytest.mark.parametrize("uneven", [0.0, 0.5])
@pytest.mark.parametrize("rate", [0.001, 0.01, 0.05])
def test_false_alarms_are_as_rare_as_was_asked(rate, uneven):
    """Of four catalogs without a contradiction no more items are flagged than three standard deviations of a binomial
    above the rate."""
    flagged = 0
    for seed in range(4):
        items, _ = world(noise=0.5, seed=seed, planted=0, uneven=uneven)
        flagged += contradictions(items, train=everyone(items), seed=0, rate=rate).flag.sum()
    expected = 4 * N * rate
    assert flagged <= expected + 3 * np.sqrt(expected)


def test_the_limit_of_a_normal_sample():
    """Of the 999 quantiles of a normal distribution with mean 3 and deviation 2; a longer tail lowers it."""
    scores = 3 + 2 * norm.ppf(np.arange(1, 1000) / 1000)
    assert limit(scores, rate=0.01) == pytest.approx(3 + 2 * norm.ppf(0.01), abs=0.02)
    assert limit(np.where(scores < 1, 2 * scores - 1, scores), rate=0.01) < limit(scores, rate=0.01) - 1


def test_without_swaps_what_agrees_is_not_flagged_though_some_must_agree_least():
    """The 20th part that agrees least still agrees far better than strangers."""
    random = np.random.default_rng(0)
    truth = random.normal(size=(N, 8))
    items = items_of(
        **{m: truth @ random.normal(size=(8, 20)) + 0.1 * random.normal(size=(N, 20)) for m in ("text", "image")}
    )
    assert not contradictions(items, train=everyone(items), seed=0, rate=0.05).flag.any()


def test_items_that_nothing_was_learnt_from_are_judged_alike():
    items, planted = world()
    train = np.arange(N) < 400
    found = contradictions(items, train=train, seed=0, rate=0.01)
    late = planted[planted >= 400]
    assert found.flag[late].mean() > 0.5
    assert found.flag[~train].sum() < 2 * len(late)


def test_one_pair_that_agrees_acquits_an_item():
    """Text and audio agree though the image is another's; the score of the wrong pairs is told all the same."""
    items, planted = world(modalities=("text", "audio", "image"))
    found = contradictions(items, train=everyone(items), seed=0, rate=0.01)
    assert found.flag[planted].mean() < 0.1
    assert found.pairs["text", "image"][planted].mean() < 0.5 < 2 < found.pairs["text", "audio"][planted].mean()


def test_modalities_that_say_nothing_of_one_another_flag_nothing():
    random = np.random.default_rng(0)
    items = items_of(text=random.normal(size=(N, 10)), image=random.normal(size=(N, 10)))
    found = contradictions(items, train=everyone(items), seed=0)
    assert not found.flag.any()
    assert not found.pairs
    assert np.isnan(found.score).all()


def test_an_item_with_one_modality_has_no_score_and_no_flag():
    items, _ = world()
    masks = {"image": np.arange(N) % 2 == 0}
    items = items_of(masks=masks, **items.x)
    found = contradictions(items, train=everyone(items), seed=0)
    np.testing.assert_array_equal(np.isnan(found.score), ~masks["image"])
    assert not found.flag[~masks["image"]].any()
    again = contradictions(items, train=everyone(items), seed=0)
    np.testing.assert_array_equal(again.score, found.score)


@pytest.mark.parametrize("arguments", [{"rate": 0.5}, {"folds": 1}, {"train": np.ones(3, bool)}])
def test_arguments_out_of_range_are_refused(arguments):
    items, _ = world()
    with pytest.raises(ValueError, match="expected a share"):
        contradictions(items, **{"train": everyone(items), "seed": 0, **arguments})
