"""The layers that models share, by hand, and what is learnt from the order of frames."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion.models import registry
from fusion.training.layers import HideBlocks, SequenceReader, masked_softmax
from fusion.training.ranker import ItemTable
from tests.fusion.worlds import contributions, courses

QUICK = {
    "joint": {"width": 8, "heads": 2, "units": 4, "epochs": 4, "steps_per_epoch": [4, 4]},
    "multitask": {"width": 8, "hidden": 8, "units": 4, "epochs": 4, "steps_per_epoch": [4, 4]},
}
READING = sorted(QUICK)


def test_softmax_is_over_what_is_there():
    logits = np.log(np.array([[1.0, 3, 100], [1, 3, 100]], np.float32))
    found = masked_softmax(logits, np.array([[1.0, 1, 0], [0, 0, 0]], np.float32))
    np.testing.assert_allclose(np.asarray(found), [[0.25, 0.75, 0], [0, 0, 0]], rtol=1e-6)


@given(st.lists(st.tuples(st.floats(-50, 50), st.booleans()), min_size=1, max_size=6))
def test_softmax_sums_to_1_or_nothing_is_there(entries):
    logits, mask = np.array(entries, np.float32).T
    found = np.asarray(masked_softmax(logits, mask))
    assert found.sum() == pytest.approx(float(mask.any()))
    assert not found[mask == 0].any()


def test_blocks_are_hidden_in_training_alone_and_each_at_its_rate():
    shown = np.ones((4000, 3), np.float32)
    shown[:, 2] = 0
    layer = HideBlocks([0.25, 0.0, 0.5])
    np.testing.assert_array_equal(np.asarray(layer(shown)), shown)
    hidden = np.asarray(layer(shown, training=True))
    assert set(hidden.ravel()) == {0, 1} and not hidden[:, 2].any() and hidden[:, 1].all()
    assert hidden[:, 0].mean() == pytest.approx(0.75, abs=0.03)


def test_a_sequence_is_its_state_after_its_last_step():
    """What follows the last step is padding; without a last step there is nothing."""
    reader = SequenceReader(3, 2)
    random = np.random.default_rng(0)
    steps = random.normal(size=(3, 4, 5)).astype(np.float32)
    padded = steps.copy()
    padded[1, 2:] = 99
    last = np.array([[0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0]], np.float32)
    found = np.asarray(reader(padded, last))
    states = np.asarray(reader.recurrent(steps))
    kernel = reader.out.get_weights()[0]
    np.testing.assert_allclose(found[:2], np.stack([states[0, 3], states[1, 1]]) @ kernel, rtol=1e-4, atol=1e-7)
    assert not found[2].any()


def test_a_table_gives_rows_and_their_sequences():
    steps = np.arange(6.0, dtype=np.float32).reshape(3, 2, 1)
    arrays = {"text": np.arange(4.0), "video/steps": steps, "video/place": np.array([0, 2, 1, 0])}
    found = ItemTable(arrays)(np.array([1, 3]))
    assert set(found) == {"text", "video/steps"}
    np.testing.assert_array_equal(np.asarray(found["text"]), [1, 3])
    np.testing.assert_array_equal(np.asarray(found["video/steps"]), steps[[2, 0]])


@pytest.mark.parametrize("name", ["joint", pytest.param("multitask", marks=pytest.mark.at_length)])
@pytest.mark.slow
def test_the_order_of_frames_is_learnt_from(name):
    """Items without a like in training: their mean vectors do not show who will like them, their sequences do."""
    catalog, history = courses()
    new = np.arange(len(catalog)) % 8 >= 4
    train = history.where(~new[history.item])
    settings = QUICK[name] | {"width": 16, "units": 16, "untuned_epochs": 12, "steps_per_epoch": [10, 10]}
    settings |= {"learning_rate": 0.01, "item_dropout": 0.5}
    margins = {}
    for kind, seen in (("sequences", catalog), ("means", replace(catalog, sequences={}))):
        model = registry.create(name, settings)
        model.fit(seen, train, seed=1)
        scores = model.user_vectors(seen, train) @ model.item_vectors(seen)[new].T
        own = np.arange(len(history.user_ids))[:, None] % 4 == np.nonzero(new)[0] % 4
        margins[kind] = (scores[own].mean() - scores[~own].mean()) / scores.std()
    assert margins["sequences"] > margins["means"] + 0.5


@pytest.mark.parametrize("name", READING)
@pytest.mark.slow
def test_models_with_sequences_keep_the_interface(name, tmp_path):
    """Saved and loaded the same bits; an item without video gets nothing from the video block; a catalog without
    sequences is scored too."""
    catalog, history = courses()
    mask = np.arange(len(catalog)) % 3 > 0
    place = np.where(mask & (np.arange(len(catalog)) % 2 == 0), np.arange(len(catalog)), -1)
    sequences = {"video": replace(catalog.sequences["video"], place=place)}
    vectors = catalog.vectors | {"video": catalog.vectors["video"] * mask[:, None]}
    catalog = replace(catalog, vectors=vectors, masks=catalog.masks | {"video": mask}, sequences=sequences)
    model = registry.create(name, QUICK[name])
    model.fit(catalog, history, seed=1)
    registry.save(model, tmp_path)
    found = model.item_vectors(catalog)
    np.testing.assert_array_equal(registry.load(tmp_path).item_vectors(catalog), found)
    users = model.user_vectors(catalog, history)[np.arange(len(catalog))]
    added = contributions(users, found, model.blocks)["video"]
    assert not added[~mask].any()
    assert added[mask].all()
    without = model.item_vectors(replace(catalog, sequences={}))
    np.testing.assert_allclose(without[place < 0], found[place < 0], rtol=1e-4, atol=1e-5)
    assert not np.allclose(without[place >= 0], found[place >= 0])
    with pytest.raises(ValueError, match=r"video sequences of shape \(1, 1, 9\): expected \[K, T, 4\], as fitted"):
        other = replace(sequences["video"], values=np.zeros((1, 1, 9), np.float32), lengths=np.ones(1, np.int32))
        model.item_vectors(replace(catalog, sequences={"video": other}))
