"""Popularity by time against numbers worked out by hand."""

import numpy as np

from fusion.models.stack.history import BINS, TimeBins
from tests.fusion.worlds import history_of


def test_likes_are_counted_by_time_and_fade_with_distance():
    """Likes at 0 and 6399 over bins of 100: a moment in the first bin's middle sees the last one 63 bins away."""
    rows = history_of([(0, 0, 0), (1, 0, 10), (0, 1, 6399)])
    bins = TimeBins.over(rows)
    assert (bins.start, bins.width) == (0, 100)
    counts = bins.counts(rows, n_items=3)
    assert counts.shape == (3, BINS)
    assert counts[0, 0] == 2 and counts[1, 63] == 1 and counts.sum() == 3
    found = bins.weights(np.array([50, 6350])) @ counts.T
    far = np.exp(-63 / 8)
    np.testing.assert_allclose(found, [[2, far, 0], [2 * far, 1, 0]], rtol=1e-5)


def test_a_moment_outside_is_as_the_nearest_end():
    bins = TimeBins.over(history_of([(0, 0, 0), (0, 1, 6399)]))
    outside = bins.weights(np.array([-(10**9), 0, 6400, 10**9]))
    np.testing.assert_array_equal(outside[0], outside[1])
    np.testing.assert_array_equal(outside[2], outside[3])


def test_without_a_like_there_are_no_counts():
    nothing = history_of([])
    assert not TimeBins.over(nothing).counts(nothing, n_items=2).any()
