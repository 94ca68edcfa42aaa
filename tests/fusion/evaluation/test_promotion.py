import numpy as np
import pytest

from fusion.evaluation.promotion import holds_its_own


def test_by_hand():
    """Differences 0, 0, -.3, -.1: mean -.1, squares about it .01 + .01 + .04 + 0, error sqrt(.06 / 3) / 2 = .0707."""
    verdict = holds_its_own(np.array([0.5, 0.5, 0.2, 0.4]), np.array([0.5, 0.5, 0.5, 0.5]))
    assert verdict.difference == pytest.approx(-0.1)
    assert verdict.standard_error == pytest.approx(np.sqrt(0.02) / 2)
    assert not verdict.ok


def test_worse_within_one_standard_error_holds():
    verdict = holds_its_own(np.array([0.0, 0.3]), np.array([0.2, 0.2]))
    assert verdict.difference == pytest.approx(-0.05)
    assert verdict.standard_error == pytest.approx(0.15)
    assert verdict.ok


def test_identical_holds_and_better_holds():
    same = np.array([0.1, 0.9, 0.4])
    assert holds_its_own(same, same).ok
    assert holds_its_own(same + 0.1, same).ok
    assert holds_its_own(np.array([0.3]), np.array([0.3])).ok


def test_constantly_worse_is_refused():
    assert not holds_its_own(np.full(5, 0.1), np.full(5, 0.2)).ok
    assert not holds_its_own(np.array([0.1]), np.array([0.2])).ok


@pytest.mark.parametrize(
    "pair", [(np.zeros(2), np.zeros(3)), (np.zeros(0), np.zeros(0)), (np.array([np.nan]), np.zeros(1))]
)
def test_nothing_to_judge(pair):
    with pytest.raises(ValueError):
        holds_its_own(*pair)
