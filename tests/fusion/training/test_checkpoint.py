"""A killed training goes on, and ends where an undisturbed one ends."""

import json
from dataclasses import replace

import numpy as np
import pytest

from fusion.data.splits import split
from fusion.models import registry
from fusion.training.config import TrainingConfig
from fusion.training.early_stopping import Holdout
from fusion.training.examples import Examples
from fusion.training.loop import Checkpoint, Progress, best_epoch, identity
from tests.fusion.worlds import tastes

QUICK = {
    "concatenation": {"rank": 4},
    "graph": {"rank": 4, "negatives": 8},
    "joint": {"width": 8, "heads": 2},
    "multitask": {"width": 4, "hidden": 4},
    "sequence": {"rank": 4, "length": 4, "hidden": 4},
    "weighted": {"rank": 4, "loss": "bpr"},
}
STEPS = {"epochs": 4, "patience": 9, "steps_per_epoch": [3, 3], "learning_rate": 0.01}


class Killed(Exception):
    """Stands for a kill -9 in the second step of the third epoch."""


@pytest.fixture(scope="module")
def world():
    catalog, history = tastes(users=40, items=30, likes=7)
    return catalog, split(history, kind="per_user", test_share=0.2, valid_share=0.1)


def fit(name, world, checkpoint=None, **more):
    catalog, parts = world
    model = registry.create(name, QUICK[name] | STEPS | more)
    model.checkpoint = checkpoint
    return model, model.fit(catalog, parts.train, Holdout.of(parts, len(catalog), seed=3), seed=3)


@pytest.mark.parametrize("name", sorted(QUICK))
def test_killed_and_resumed_it_ends_with_the_same_bits(name, world, tmp_path, monkeypatch):
    whole, log = fit(name, world)
    draw, drawn = Examples.draw, []

    def killed(self, users, random):
        drawn.append(len(users))
        if len(drawn) == 8:
            raise Killed
        return draw(self, users, random)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(Examples, "draw", killed)
        fit(name, world, tmp_path)
    write, written = Checkpoint.write, []
    monkeypatch.setattr(Checkpoint, "write", lambda self, p, best: (written.append(p.epoch), write(self, p, best)))
    resumed, again = fit(name, world, tmp_path)
    assert written == [3, 4]
    assert (again.epochs, again.best_epoch, again.valid_ndcg) == (log.epochs, log.best_epoch, log.valid_ndcg)
    for array, expected in zip(resumed.state().values(), whole.state().values(), strict=True):
        np.testing.assert_array_equal(array, expected)
    assert "checkpoint" not in resumed.parameters()


def test_another_training_starts_anew_and_keeps_its_own(world, tmp_path):
    fit("weighted", world, tmp_path)
    plain, log = fit("weighted", world, learning_rate=0.02)
    other, found = fit("weighted", world, tmp_path, learning_rate=0.02)
    assert found.valid_ndcg == log.valid_ndcg
    np.testing.assert_array_equal(other.state()["weights/user"], plain.state()["weights/user"])
    assert len(list(tmp_path.iterdir())) == 2


def test_validated_on_other_data_it_starts_anew(world, tmp_path):
    catalog, parts = world
    fit("weighted", world, tmp_path)
    others = replace(parts, valid=parts.valid.where(parts.valid.user % 2 == 0))
    expected, log = fit("weighted", (catalog, others))
    found, again = fit("weighted", (catalog, others), tmp_path)
    assert again.valid_ndcg == log.valid_ndcg
    for array, other in zip(found.state().values(), expected.state().values(), strict=True):
        np.testing.assert_array_equal(array, other)


NOTHING = Progress(0, 0, 0.0, ())


class Counter:
    """Counts its epochs, and adds a random number in each."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(5)
        self.count, self.total = 0, 0.0

    def state(self):
        return {"count": np.array(self.count), "total": np.array(self.total)}

    def restore(self, state):
        self.count, self.total = int(state["count"]), float(state["total"])

    def run(self):
        self.count, self.total = self.count + 1, self.total + self.random.random()
        return self.state(), self.total


def train(counter, folder, *, epochs, figures=None):
    config = TrainingConfig(
        epochs=epochs,
        patience=2,
        batch_size=1,
        learning_rate=1.0,
        item_dropout=0.0,
        items_per_step=1,
        steps_per_epoch=(1, 1),
    )
    checkpoint = Checkpoint(folder, identity="x", trained=counter, random=counter.random)
    validate = None if figures is None else lambda weights: figures[int(weights["count"])]
    start = counter.state()
    return best_epoch(counter.run, start, config=config, validate=validate, progress=False, checkpoint=checkpoint)


def test_random_numbers_go_on(tmp_path):
    train(Counter(), tmp_path, epochs=2)
    weights, log = train(Counter(), tmp_path, epochs=5)
    rng = np.random.default_rng(5)
    total = 0.0
    for _ in range(5):
        total += rng.random()
    assert float(weights["total"]) == total
    assert log.epochs == 5


def test_the_best_so_far_and_patience_are_kept(tmp_path):
    """Best after epoch 1, and nothing better in two more: it stops at 3, also if it was killed after 2; and asked once
    more it runs nothing."""
    figures = [0.1, 0.5, 0.2, 0.3, 0.9]
    train(Counter(), tmp_path, epochs=2, figures=figures)
    for _ in range(2):
        counter = Counter()
        best, log = train(counter, tmp_path, epochs=9, figures=figures)
        assert int(best["count"]) == 1
        assert (log.epochs, log.best_epoch, log.valid_ndcg) == (3, 1, [0.5, 0.2, 0.3])
    assert counter.count == 3


def test_a_kill_while_writing_leaves_the_last_epoch(tmp_path):
    """The arrays of epoch 2 are half there, and the file that names an epoch still names the first."""
    counter = Counter()
    train(counter, tmp_path, epochs=1)
    (tmp_path / "x" / "epoch-2.npz").write_bytes(b"PK half")
    (tmp_path / "x" / "progress.json.partial").write_text('{"arrays": "epo')
    found = Checkpoint(tmp_path, identity="x", trained=Counter(), random=np.random.default_rng(0)).read(NOTHING)
    assert found is not None
    assert found[0] == Progress(1, 1, found[0].seconds, ())
    train(counter, tmp_path, epochs=3)
    assert sorted(path.name for path in (tmp_path / "x").iterdir() if path.suffix == ".npz") == ["epoch-3.npz"]
    assert json.loads((tmp_path / "x" / "progress.json").read_text())["arrays"] == "epoch-3.npz"


def test_identity_differs_with_every_setting_and_array():
    one = np.zeros(3)
    same = identity("a", 1, arrays={"w": one})
    assert same == identity("a", 1, arrays={"w": one.copy()})
    others = [
        identity("a", 2, arrays={"w": one}),
        identity("a", 1, arrays={"v": one}),
        identity("a", 1, arrays={"w": one + 1}),
        identity("a", 1, arrays={"w": one.astype(np.float32)}),
        identity("a", 1, arrays={"w": one[None]}),
    ]
    assert len({same, *others}) == 6
