"""Audio and video in order of time, as fusion reads them: one sequence an item, of few steps and few columns."""

from collections.abc import Iterator
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from fusion.data.catalog import MAX_STEPS, Sequences
from lake.lake import Lake
from schemas.features import FEATURES
from schemas.table import Medium

WIDTH = 64
"""Columns of a step, at most."""
BATCH = 256
"""Contents whose whole sequences are held in memory at once."""
MEL = 32
"""Steps of `mel_sequence`."""
COLUMNS = {"audio": ["mel_sequence"], "video": ["sequence", "frames"]}
"""Medium → the columns of its feature store that hold a sequence."""


def sequences(
    lake: Lake,
    modality: Medium,
    encoder: str,
    *,
    encoded: pa.ChunkedArray,
    owner: NDArray[np.integer],
    key: pa.Array,
    n_items: int,
) -> Sequences:
    """Return the sequence of every item: that of the first of its contents that was encoded.

    Args:
        encoder: fingerprint of the encoder whose features are read.
        encoded: keys of the contents that the store has under that encoder.
        owner: int [c], ascending places of items.
        key: [c], a content key of each.
        n_items: how many items there are.
    """
    where = pc.field("encoder") == encoder
    has = pc.is_in(key, value_set=encoded).to_numpy(zero_copy_only=False)
    items, first = np.unique(owner[has], return_index=True)
    chosen = key.filter(pa.array(has)).take(pa.array(first))
    wanted = pc.unique(chosen).sort()
    found: list[NDArray[np.float32]] = [np.zeros((0, 1), np.float32)] * len(wanted)
    columns = ["content_key", *COLUMNS[modality]]
    chosen_rows = where & pc.field("content_key").isin(wanted)
    rows = lake.batches(FEATURES[modality], where=chosen_rows, columns=columns, rows=BATCH)
    for batch in rows:
        places = pc.index_in(batch["content_key"], value_set=wanted).to_pylist()
        for at, steps in zip(places, _steps(modality, batch), strict=True):
            found[at] = project(subsample(steps))
    filled = np.array([len(steps) > 0 for steps in found], bool)
    row = np.where(filled, np.cumsum(filled) - 1, -1)
    place = np.full(n_items, -1)
    place[items] = row[pc.index_in(chosen, value_set=wanted).to_numpy(zero_copy_only=False)]
    return _padded([steps for steps in found if len(steps)], place)


def subsample(steps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return at most `MAX_STEPS` of the steps, evenly spaced, the first and the last among them."""
    if len(steps) <= MAX_STEPS:
        return steps
    return steps[np.linspace(0, len(steps) - 1, MAX_STEPS).round().astype(np.int64)]


def project(steps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return steps as float32 [T, w], w at most `WIDTH`; wider ones by a random projection, which nearly keeps their
    distances (Johnson and Lindenstrauss 1984; Dasgupta and Gupta 2003).

    The projection depends on the width alone. Principal components would depend on the night's contents, and a model of
    an earlier night could not read them.
    """
    width = steps.shape[1]
    return (steps if width <= WIDTH else steps @ _axes(width)).astype(np.float32)


@cache
def _axes(width: int) -> NDArray[np.float64]:
    """The projection, float64 [width, WIDTH]."""
    # RandomState draws the same numbers in every version of NumPy.
    return np.random.RandomState(width).normal(0, 1 / np.sqrt(WIDTH), (width, WIDTH))


def _steps(modality: Medium, batch: pa.RecordBatch) -> Iterator[NDArray[np.float32]]:
    """Each row's steps, float32 [T, w]."""
    for row in range(len(batch)):
        flat = batch[COLUMNS[modality][0]][row].values.to_numpy(zero_copy_only=False)
        count = MEL if modality == "audio" else batch["frames"][row].as_py()
        yield flat.reshape(count, -1) if count and len(flat) else np.zeros((0, 1), np.float32)


def _padded(steps: list[NDArray[np.float32]], place: NDArray[np.int64]) -> Sequences:
    lengths = np.array([len(each) for each in steps], np.int32)
    width = steps[0].shape[1] if steps else 1
    values = np.zeros((len(steps), int(lengths.max(initial=0)), width), np.float32)
    for row, each in enumerate(steps):
        values[row, : len(each)] = each
    return Sequences(values, lengths, place)
