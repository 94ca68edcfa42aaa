"""How a Keras model is fitted: the best epoch, resuming, precision."""

import keras
import numpy as np
import pytest

from fusion.data.splits import split
from fusion.models import registry
from fusion.training.config import FitLog, TrainingConfig
from fusion.training.early_stopping import Holdout
from fusion.training.examples import LikesDataset
from fusion.training.fitting import BestEpoch, dtype_policy, identity, mirrored_strategy
from tests.fusion.worlds import courses, tastes

STEPS = {"rank": 4, "epochs": 4, "patience": 9, "steps_per_epoch": [3, 3], "learning_rate": 0.01}


class Killed(Exception):
    """Stands for a kill -9."""


@pytest.fixture(scope="module")
def world():
    catalog, history = tastes(users=40, items=30, likes=7)
    return catalog, split(history, kind="per_user", test_share=0.2, valid_share=0.1)


def fit(world, checkpoint=None, **more):
    catalog, parts = world
    model = registry.create("weighted", STEPS | more)
    model.checkpoint = checkpoint
    return model, model.fit(catalog, parts.train, Holdout.of(parts, len(catalog), seed=3), seed=3)


def test_a_killed_fit_goes_on_after_its_last_epoch(world, tmp_path, monkeypatch):
    """Two epochs are done; the others are made by the second fit, which leaves nothing behind."""
    batch = LikesDataset.__getitem__

    def killed(self, index):
        if index == 2 * self.steps:
            raise Killed
        return batch(self, index)

    with monkeypatch.context() as patched, pytest.raises(Exception, match="Killed"):
        patched.setattr(LikesDataset, "__getitem__", killed)
        fit(world, tmp_path)
    (kept,) = tmp_path.iterdir()
    assert any(kept.iterdir())
    model, log = fit(world, tmp_path)
    assert (log.epochs, len(log.valid_ndcg)) == (4, 2)
    assert 2 <= log.best_epoch <= 4
    assert not kept.exists()
    assert "checkpoint" not in model.parameters()


def test_killed_while_it_wrote_its_first_backup_a_fit_starts_anew(world, tmp_path, monkeypatch):
    def killed(self, epoch, logs=None):
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(BestEpoch, "on_epoch_end", killed)
        fit(world, tmp_path)
    (weights,) = tmp_path.glob("*/*.weights.h5")
    weights.write_bytes(weights.read_bytes()[:500])
    _, log = fit(world, tmp_path)
    assert (log.epochs, len(log.valid_ndcg)) == (4, 4)


def test_another_fit_does_not_go_on_from_it(world, tmp_path, monkeypatch):
    def killed(self, epoch, logs=None):
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(BestEpoch, "on_epoch_end", killed)
        fit(world, tmp_path)
    other, log = fit(world, tmp_path, learning_rate=0.02)
    plain, expected = fit(world, learning_rate=0.02)
    assert (log.epochs, log.valid_ndcg) == (expected.epochs, expected.valid_ndcg)
    np.testing.assert_array_equal(other.item_vectors(world[0]), plain.item_vectors(world[0]))
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("figures", "epochs", "best"), [([0.1, 0.5, 0.2, 0.3, 0.9], 3, 1), ([0.4, 0.1, 0.2, 0.9], 2, 0)]
)
def test_the_best_epoch_is_kept_the_start_among_them(figures, epochs, best):
    """A weight that is 1 more after every epoch: it ends after two epochs that were no better, at the best one's."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(1.0), loss=lambda wanted, found: -found)
    left = iter(figures)
    stop = BestEpoch(lambda: next(left), patience=2)
    model.fit(np.ones((1, 1)), np.ones((1, 1)), epochs=9, verbose=0, callbacks=[stop])
    assert stop.figures == figures[1 : epochs + 1]
    assert stop.best_epoch == best
    assert float(model.get_weights()[0][0, 0]) == pytest.approx(best)


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


def test_half_precision_is_for_gpus_alone(monkeypatch):
    assert dtype_policy(TrainingConfig()) == "float32"
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: [kind])
    assert dtype_policy(TrainingConfig()) == "mixed_bfloat16"
    assert dtype_policy(TrainingConfig(precision="float32")) == "float32"


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("weighted", {}),
        pytest.param("joint", {"width": 8, "heads": 2}, marks=pytest.mark.at_length),
        pytest.param("multitask", {"width": 8, "hidden": 8}, marks=pytest.mark.at_length),
    ],
)
def test_every_network_learns_in_half_precision(name, more, monkeypatch):
    """As in float32, but for what 8 bits cannot tell; what is kept is in single precision."""
    catalog, history = courses(items=24)
    found = []
    for policy in ("float32", "mixed_bfloat16"):
        monkeypatch.setattr("fusion.models.trained.dtype_policy", lambda config, policy=policy: policy)
        model = registry.create(name, {"steps_per_epoch": [3, 3]} | more)
        model.fit(catalog, history, seed=1, tuned=FitLog(best_epoch=2))
        found.append(model.item_vectors(catalog))
    start = registry.create(name, more)
    start.fit(catalog, history, seed=1, tuned=FitLog())
    learnt = np.abs(found[0] - start.item_vectors(catalog)).max()
    assert 0 < np.abs(found[1] - found[0]).max() < learnt


def test_more_devices_than_there_are_are_refused():
    assert mirrored_strategy(1) is None
    with pytest.raises(ValueError, match="devices 99: there are"):
        mirrored_strategy(99)


@pytest.mark.parametrize("setting", [{"loss": "hinge"}, {"optimizer": "rprop"}, {"precision": "int8"}])
def test_an_unknown_name_is_refused(setting):
    with pytest.raises(ValueError, match=f"Input should be .*input_value='{next(iter(setting.values()))}'"):
        TrainingConfig(**setting)
