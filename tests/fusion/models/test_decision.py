from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from fusion.data.splits import split
from fusion.evaluation.evaluate import evaluate
from fusion.models import weight_search
from fusion.models.decision.model import WEIGHTS
from fusion.models.decision.scorers import LinearScorer
from fusion.models.registry import create
from fusion.models.scorer import scorer
from fusion.models.weight_search import search_weights
from fusion.ranking.rank_aggregation import COMBINATIONS, points, total
from fusion.training.config import FitLog
from fusion.training.early_stopping import Holdout
from tests.fusion.worlds import history_of, tastes

RANKINGS = [name for name in COMBINATIONS if name != "sum"]


def likes(*rows) -> sp.csr_matrix:
    return sp.csr_matrix(np.array(rows, np.float32))


def test_ridge_regression_by_hand():
    """Features 1, 3 and 8 (the last masked out): centred -1 and 1, so V'V = 2, and with ridge 2 A = 1/4. A like of the
    second gives u = 1/4. The variance of the centred features is 1, so u is divided by 1/4 again."""
    features, mask = np.array([[1], [3], [8]], np.float32), np.array([True, True, False])
    scorer = LinearScorer.fit(features, mask, likes([0, 1, 0], [0, 1, 1]), ridge=2)
    assert scorer.items(features, mask).tolist() == [[-1], [1], [0]]
    np.testing.assert_allclose(scorer.solve, [[0.25]])
    np.testing.assert_allclose(scorer.prior, [0.25])
    np.testing.assert_allclose(scorer.users(features, mask, likes([0, 1, 0], [2, 0, 0], [0, 0, 1])), [[1], [-1], [0]])


def test_scores_over_the_items_fitted_on_are_standardised():
    random = np.random.default_rng(3)
    features, mask = random.normal(size=(40, 5)).astype(np.float32), random.random(40) < 0.8
    features[~mask] = 0
    matrix = sp.csr_matrix((random.random((6, 40)) < 0.3).astype(np.float32))
    scorer = LinearScorer.fit(features, mask, matrix, ridge=3)
    scores = scorer.users(features, mask, matrix) @ scorer.items(features, mask)[mask].T
    np.testing.assert_allclose(scores.mean(axis=1), 0, atol=1e-5)
    np.testing.assert_allclose(scores.std(axis=1), 1, rtol=1e-4)


def test_the_search_finds_the_block_that_ranks_right():
    """The second block puts each user's next item first, the first puts it last."""
    train = history_of([(0, 0, 1), (1, 0, 1)])
    valid = history_of([(0, 1, 2), (1, 2, 2)])
    holdout = Holdout(train, valid, n_items=20, seed=0)
    items = np.zeros((20, 4), np.float32)
    items[1, 2] = items[2, 3] = 1
    items[:, :2] = 1 - items[:, 2:]
    users = np.array([[1, 0, 1, 0], [0, 1, 0, 1]], np.float32)
    blocks = {"history": slice(0, 2), "text": slice(2, 4)}
    for combination in ("sum", "borda"):
        weights, reached = search_weights(
            {"history": 1.0, "text": 0.5}, holdout, users=users, items=items, blocks=blocks, combination=combination
        )
        assert reached == 1.0
        assert weights["text"] > weights["history"]


def test_the_search_is_the_same_in_small_batches(monkeypatch):
    catalog, history = tastes(users=30, items=24, likes=5)
    parts = split(history, kind="per_user", test_share=0.2, valid_share=0.1)
    logs = []
    for cells in (10, 10**6):
        monkeypatch.setattr(weight_search, "CELLS", cells)
        logs.append(
            create("decision", {"rank": 4}).fit(catalog, parts.train, Holdout.of(parts, len(catalog), seed=1), seed=1)
        )
    assert logs[0].choices == logs[1].choices
    assert set(logs[0].choices) == set(WEIGHTS)


def test_what_was_chosen_is_kept():
    catalog, history = tastes(users=20, items=24, likes=5)
    model = create("decision", {"rank": 4, "weights": {"text": 3.0}})
    assert model.fit(catalog, history, seed=1).choices["text"] == 3.0
    chosen = {"history": 0.5, "text": 2.0, "image": 0.0}
    log = model.fit(catalog, history, history, seed=1, tuned=FitLog(choices=chosen))
    assert log.choices == chosen | {"audio": 0.125, "video": 0.125, "attributes": 0.125}
    assert not model.user_vectors(catalog, history)[:, model.blocks["image"]].any()


@pytest.mark.parametrize("combination", RANKINGS)
def test_scores_are_the_points_of_rankings(combination):
    catalog, history = tastes(users=20, items=24, likes=5)
    masks = catalog.masks | {"image": np.arange(24) % 2 == 0}
    catalog = replace(catalog, masks=masks, vectors={m: v * masks[m][:, None] for m, v in catalog.vectors.items()})
    model = create("decision", {"combination": combination, "rank": 4})
    model.fit(catalog, history, seed=1)
    users, items = model.user_vectors(catalog, history), model.item_vectors(catalog)
    had = np.zeros((20, 24), bool)
    had[history.user, history.item] = True
    given = points(
        users, items, model.blocks, combination=model.combination, weights=model.block_weights, candidates=~had
    )
    np.testing.assert_allclose(total(given), scorer(model, catalog, history)(np.arange(20)), rtol=1e-6)
    assert not given["image"][:, 1::2].any()
    assert given["image"].any()


@pytest.mark.parametrize("combination", ["average", *RANKINGS])
def test_every_combination_finds_planted_tastes(combination):
    catalog, history = tastes(seed=2)
    parts = split(history, kind="per_user", test_share=0.2, valid_share=0.1)
    model = create("decision", {"combination": combination, "rank": 8})
    model.fit(catalog, parts.train, Holdout.of(parts, len(catalog), seed=1), seed=1)
    found = evaluate(
        {"model": scorer(model, catalog, parts.known())},
        split=parts,
        split_name="planted",
        n_items=len(catalog),
        ks=(10,),
        segments=["all"],
    )
    ndcg = next(f.value for f in found if f.metric == "ndcg")
    assert ndcg > 0.5


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"combination": "mean"}, "'mean': expected one of average, borda"),
        ({"weights": {"smell": 1.0}}, "smell"),
        ({"weights": {"text": -1.0}}, "expected 0 or more"),
        ({"decay": 0.0}, "decay 0.0: expected more than 0"),
        ({"rank": 0}, "rank 0: expected 1 or more"),
    ],
)
def test_what_cannot_be_is_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        create("decision", parameters)
