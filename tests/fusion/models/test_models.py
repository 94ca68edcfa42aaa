"""What every strategy promises, and what those that learn must reach."""

import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from fusion.data.catalog import Catalog, History
from fusion.data.splits import split
from fusion.evaluation.evaluate import evaluate
from fusion.models import registry
from fusion.training.config import FitLog
from fusion.training.early_stopping import Holdout
from schemas.table import MODALITIES, PARTS
from tests.fusion.worlds import catalog_of, contributions, history_of, tastes

FEW_STEPS = {"epochs": 4, "steps_per_epoch": [4, 4], "untuned_epochs": 2}
QUICK = {
    "concatenation": FEW_STEPS | {"rank": 8},
    "content": {},
    "decision": {"rank": 8},
    "joint": FEW_STEPS | {"width": 8, "heads": 2, "units": 4},
    "multitask": FEW_STEPS | {"width": 8, "hidden": 16},
    "stack": {},
    "weighted": FEW_STEPS | {"rank": 8},
}
NAMES = sorted(registry.STRATEGIES)
LEARNING = ["joint", "multitask", "weighted"]
"""The classes that Keras trains; `concatenation` is `weighted` over all modalities at once."""
USING_CONTENT = [*LEARNING, "concatenation", "decision", "stack"]


def fitted(name, catalog, history, **more):
    parts = split(history, kind="per_user", test_share=0.2, valid_share=0.1)
    model = registry.create(name, QUICK[name] | more)
    log = model.fit(catalog, parts.train, Holdout.of(parts, len(catalog), seed=7), seed=7)
    return model, log


@pytest.fixture(scope="module")
def world():
    catalog, history = tastes()
    masks = {m: mask.copy() for m, mask in catalog.masks.items()}
    masks["image"][::3] = False
    masks["text"][::5] = False
    vectors = {m: catalog.vectors[m] * masks[m][:, None] for m in MODALITIES}
    return replace(catalog, vectors=vectors, masks=masks), history


@pytest.fixture(scope="module", params=NAMES)
def fit_once(request, world):
    """A fitted model and the log of its fit."""
    return fitted(request.param, *world)


@pytest.fixture(scope="module")
def model(fit_once):
    return fit_once[0]


def pick(catalog: Catalog, rows) -> Catalog:
    return Catalog(
        catalog.item_ids[rows],
        {m: v[rows] for m, v in catalog.vectors.items()},
        {m: v[rows] for m, v in catalog.masks.items()},
        catalog.categories[rows],
    )


def test_blocks_partition_the_columns(model, world):
    columns = np.concatenate([np.arange(s.start, s.stop) for s in model.blocks.values()])
    assert tuple(model.blocks) == PARTS == tuple(model.masks(world[0]))
    np.testing.assert_array_equal(columns, np.arange(model.item_vectors(world[0]).shape[1]))
    assert set(model.neighbour_blocks) == set(PARTS)


def test_contributions_add_up_and_what_is_missing_adds_exactly_0(model, world):
    catalog, history = world
    users, items = model.user_vectors(catalog, history), model.item_vectors(catalog)
    assert users.dtype == items.dtype == np.float32
    rows = np.arange(len(catalog))
    parts = contributions(users[rows], items, model.blocks)
    np.testing.assert_allclose(sum(parts.values()), np.einsum("ij,ij->i", users[rows], items), rtol=1e-4, atol=1e-5)
    for name, mask in model.masks(catalog).items():
        assert not parts[name][~mask].any()
    assert parts["image"][catalog.masks["image"]].any()


def test_saved_and_loaded_it_is_the_same(model, world, tmp_path):
    catalog, history = world
    registry.save(model, tmp_path / "model")
    again = registry.load(tmp_path / "model")
    assert type(again) is type(model)
    assert again.blocks == model.blocks
    np.testing.assert_array_equal(again.item_vectors(catalog), model.item_vectors(catalog))
    np.testing.assert_array_equal(again.user_vectors(catalog, history), model.user_vectors(catalog, history))


def test_items_are_known_by_id_not_by_row(model, world):
    """A catalog that lost half its items and gained others: who stayed keeps its vector, the new get their own."""
    catalog, _ = world
    kept = np.arange(1, len(catalog), 2)
    new = catalog_of(catalog.vectors["text"][:3] + 1, ids=["a0", "i0000x", "z9"], image=catalog.vectors["image"][:3])
    merged = np.concatenate([catalog.item_ids[kept], new.item_ids])
    order = np.argsort(merged)
    both = Catalog(
        merged[order],
        {m: np.concatenate([catalog.vectors[m][kept], new.vectors[m]])[order] for m in MODALITIES},
        {m: np.concatenate([catalog.masks[m][kept], new.masks[m]])[order] for m in MODALITIES},
    )
    vectors, before = model.item_vectors(both), model.item_vectors(catalog)
    np.testing.assert_allclose(vectors[np.isin(both.item_ids, catalog.item_ids)], before[kept], rtol=1e-4, atol=1e-5)
    stranger = np.isin(both.item_ids, new.item_ids)
    assert not model.masks(both)["history"][stranger].any()
    assert not vectors[stranger][:, model.blocks["history"]].any()
    assert vectors[stranger][:, model.blocks["text"]].any()


def test_order_of_users_and_of_rows_does_not_matter(model, world):
    catalog, history = world
    vectors = model.user_vectors(catalog, history)
    shuffled = np.random.default_rng(0).permutation(len(history))
    np.testing.assert_allclose(model.user_vectors(catalog, history.where(shuffled)), vectors, rtol=1e-3, atol=1e-4)
    turned = replace(history, user=(len(history.user_ids) - 1 - history.user).astype(np.int32))
    np.testing.assert_allclose(model.user_vectors(catalog, turned), vectors[::-1], rtol=1e-3, atol=1e-4)


def test_users_without_a_like_get_one_prior(model, world):
    catalog, _ = world
    vectors = model.user_vectors(catalog, history_of([(1, 0, 5, 0.0)], users=3))
    assert (vectors == vectors[0]).all()
    assert vectors.any()


def test_seen_but_not_liked_does_not_move_a_user(model, world):
    catalog, _ = world
    alone = model.user_vectors(catalog, history_of([(0, 3, 1)]))
    beside = model.user_vectors(catalog, history_of([(0, 3, 1), (0, 4, 2, 0.0)]))
    np.testing.assert_array_equal(alone, beside)


def test_two_fits_give_the_same_bits(model, world):
    catalog, history = world
    two = fitted(model.name, catalog, history)[0]
    np.testing.assert_array_equal(model.item_vectors(catalog), two.item_vectors(catalog))
    np.testing.assert_array_equal(model.user_vectors(catalog, history), two.user_vectors(catalog, history))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "rows", [[], [(0, 0, 1)], [(0, 0, 1), (0, 1, 2), (0, 2, 3)], [(u, u, 1) for u in range(3)], [(0, 0, 1, 0.0)]]
)
def test_tiny_catalogs_and_histories(name, rows):
    catalog = catalog_of([[1.0, 0], [0, 1], [1, 1]], masks={"text": [True, True, False]})
    history = history_of(rows, users=3)
    model, log = fitted(name, catalog, history)
    scores = model.user_vectors(catalog, history) @ model.item_vectors(catalog).T
    assert scores.shape == (3, 3)
    assert np.isfinite(scores).all()
    assert log.best_epoch <= log.epochs


@pytest.mark.parametrize("name", LEARNING)
def test_a_catalog_without_content_is_learnt_from_by_its_history(name):
    catalog, history = (
        catalog_of(n=3),
        history_of([(u, (u + k) % 3, k, 1.0, 3 + k) for u in range(4) for k in range(2)]),
    )
    model = registry.create(name, QUICK[name])
    model.fit(catalog, history, seed=1)
    scores = model.user_vectors(catalog, history) @ model.item_vectors(catalog).T
    assert np.isfinite(scores).all() and model.blocks["text"] == model.blocks["image"]


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_catalog(name):
    catalog, history = catalog_of(n=0), history_of([], users=2)
    model, _ = fitted(name, catalog, history)
    assert model.item_vectors(catalog).shape[0] == 0
    assert model.user_vectors(catalog, history).shape[0] == 2


@pytest.mark.parametrize("name", LEARNING)
def test_without_validation_likes_it_trains_for_the_given_epochs(name, world):
    catalog, history = world
    model = registry.create(name, QUICK[name])
    nobody = Holdout(history, history.where(np.zeros(len(history), bool)), n_items=len(catalog), seed=1)
    assert model.fit(catalog, history, nobody, seed=1).epochs == 2
    log = model.fit(catalog, history, None, seed=1, tuned=FitLog(best_epoch=3))
    assert (log.epochs, log.best_epoch, log.valid_ndcg) == (3, 3, [])
    assert model.fit(catalog, history, None, seed=1, tuned=FitLog()).epochs == 0


@pytest.mark.parametrize("name", LEARNING)
def test_learning_from_samples_of_the_catalog_works_too(name, world):
    catalog, history = world
    _, log = fitted(name, catalog, history, items_per_step=16, epochs=6)
    assert max(log.valid_ndcg) > 0.3


def test_the_log_has_every_epoch_of_what_learns(fit_once):
    model, log = fit_once
    assert log.epochs == (FEW_STEPS["epochs"] if model.name in (*LEARNING, "concatenation") else 0)
    assert log.epochs == 0 or len(log.valid_ndcg) == log.epochs >= log.best_epoch
    assert json.loads(json.dumps(asdict(log)))["epochs"] == log.epochs


def ndcg(models, parts, catalog, segment):
    known = parts.known()
    scorers = {
        name: lambda users, m=model: (m.user_vectors(catalog, known) @ m.item_vectors(catalog).T)[users]
        for name, model in models.items()
    }
    found = evaluate(scorers, split=parts, split_name="planted", n_items=len(catalog), ks=(10,), segments=[segment])
    return {f.model: f.value for f in found if f.metric == "ndcg"}


@pytest.mark.parametrize("name", USING_CONTENT)
def test_content_that_explains_taste_is_used(name):
    """Half the items are new at the test: only their content shows who will like them."""
    catalog, history = tastes(users=120, items=80, likes=12, seed=1)
    new = np.arange(len(catalog)) % 8 >= 4
    parts = split(history.where(~new[history.item]), kind="per_user", test_share=0.2, valid_share=0.1)
    parts = replace(parts, test=history.where(new[history.item]))
    blind = Catalog(catalog.item_ids, {m: v * 0 for m, v in catalog.vectors.items()}, catalog_of(n=80).masks)
    models = {}
    for what, seen in (("with", catalog), ("without", blind)):
        models[what] = registry.create(name, QUICK[name])
        models[what].fit(seen, parts.train, Holdout.of(parts, len(seen), seed=3), seed=3)
    found = ndcg({"with": models["with"]}, parts, catalog, "cold_items")["with"]
    assert found > ndcg({"without": models["without"]}, parts, blind, "cold_items")["without"] + 0.2


def test_registry_refuses_what_it_does_not_know(tmp_path):
    with pytest.raises(ValueError, match="'oracle': unknown; choose one of concatenation, content, decision"):
        registry.create("oracle")
    with pytest.raises(ValueError, match="colour"):
        registry.create("concatenation", {"colour": 3})
    with pytest.raises(ValueError, match="no model here"):
        registry.load(tmp_path)


def movielens() -> tuple[Catalog, History]:
    folder = Path(os.environ.get("NIGHTWEAVE_TEST_DATA", "../shared/data")) / "movielens-small"
    if not (folder / "ratings.csv").is_file():
        pytest.skip(f"{folder}: MovieLens small is not here; set NIGHTWEAVE_TEST_DATA to its folder")
    rows = np.genfromtxt(folder / "ratings.csv", delimiter=",", skip_header=1)
    users, user = np.unique(rows[:, 0], return_inverse=True)
    items, item = np.unique(rows[:, 1], return_inverse=True)
    order = np.lexsort((item, rows[:, 3], user))
    history = History(
        np.array([f"{int(u):04d}" for u in users]),
        user[order].astype(np.int32),
        item[order].astype(np.int32),
        rows[order, 3].astype(np.int64) * 1_000_000,
        (rows[order, 2] >= 4).astype(np.float32),
        rows[order, 2].astype(np.float32),
    )
    return catalog_of(ids=[f"{int(i):06d}" for i in items], n=len(items)), history


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        pytest.param("concatenation", {"epochs": 5}, marks=pytest.mark.at_length),
        pytest.param("multitask", {"epochs": 3, "items_per_step": 1024}, marks=pytest.mark.at_length),
    ],
)
@pytest.mark.slow
def test_history_alone_beats_the_baselines_on_movielens(name, parameters):
    from fusion.baselines.history import ItemKNN, Popularity

    catalog, history = movielens()
    parts = split(history, kind="per_user", test_share=0.2, valid_share=0.1)
    model = registry.create(name, parameters)
    model.fit(catalog, parts.train, Holdout.of(parts, len(catalog), seed=1), seed=1)
    known, n = parts.known(), len(catalog)
    users, items = model.user_vectors(catalog, known), model.item_vectors(catalog)
    popularity, neighbours = Popularity().fit(known, n), ItemKNN().fit(known, n)
    found = evaluate(
        {
            "model": lambda asked: users[asked] @ items.T,
            "popularity": lambda asked: popularity.scores(known, asked),
            "neighbours": lambda asked: neighbours.scores(known, asked),
        },
        split=parts,
        split_name="per_user",
        n_items=n,
        segments=["all"],
    )
    recall = {f.model: f.value for f in found if (f.metric, f.k) == ("recall", 20)}
    assert recall["model"] > recall["popularity"] * 1.2
    assert recall["model"] > recall["neighbours"]
