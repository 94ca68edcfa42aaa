"""The ranking losses by hand. Of the S liked items all are the same here, so that a mean over them is any one's."""

import numpy as np
import pytest

from fusion.training.losses import LIKED_PER_USER, PairwiseLogistic, SampledSoftmax

LABELS = np.array([[1] * LIKED_PER_USER + [0, 0, -1], [1] * LIKED_PER_USER + [-1, 0, -1]], np.int8)


def scores(*rows):
    """Scores whose odds are: that of the liked item, then those of three candidates."""
    return np.log(np.array([[row[0]] * LIKED_PER_USER + list(row[1:]) for row in rows], np.float32))


def test_pairs_by_hand():
    """-ln sigmoid(ln a - ln b) = ln(1 + b / a): odds 1 against 2 and 5, and 2 against 6; what was had is left out."""
    found = PairwiseLogistic()(LABELS, scores((1, 2, 5, 9), (2, 7, 6, 9)))
    assert float(found) == pytest.approx(((np.log(3) + np.log(6)) / 2 + np.log(1 + 6 / 2)) / 2, rel=1e-6)


def test_softmax_by_hand():
    """Odds 1 of 1 + 2 + 5, and 2 of 2 + 6."""
    found = SampledSoftmax()(LABELS, scores((1, 2, 5, 9), (2, 7, 6, 9)))
    assert float(found) == pytest.approx((np.log(8) + np.log(4)) / 2, rel=1e-6)


@pytest.mark.parametrize("loss", [PairwiseLogistic(), SampledSoftmax()])
def test_a_user_who_has_had_everything_adds_nothing(loss):
    labels = np.array([[1] * LIKED_PER_USER + [-1, -1, -1]], np.int8)
    assert float(loss(labels, scores((1, 2, 5, 9)))) == 0


@pytest.mark.parametrize("loss", [PairwiseLogistic(), SampledSoftmax()])
def test_huge_scores_do_not_overflow(loss):
    found = loss(LABELS[:1], np.array([[-300.0] * LIKED_PER_USER + [300, 0, 0]], np.float32))
    assert 100 < float(found) < 1000
