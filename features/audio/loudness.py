"""Perceived loudness of a sound (ITU-R BS.1770)."""

from functools import cache

import numpy as np

from features.audio.decode import SAMPLE_RATE

_STANDARD_RATE = 48_000
# The two filters of the K weighting at 48 kHz (ITU-R BS.1770-4, tables 1 and 2): b0, b1, b2, 1, a1, a2.
_HEAD = (1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585)
_LOW_CUT = (1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621)
_OFFSET_DB = -0.691
_BLOCK_S, _STEP_S = 0.4, 0.1
_ABSOLUTE_GATE_LUFS, _RELATIVE_GATE_LU = -70.0, -10.0


def integrated_loudness(samples: np.ndarray) -> float | None:
    """Gated loudness of a sound, by ITU-R BS.1770-4, annex 1.

    Blocks of 400 ms begin every 100 ms; those below -70 LUFS don't count, nor those more than 10 LU below the mean of
    the rest. A full-scale sine of 997 Hz in one channel has -3.01 LUFS. The standard doesn't define the loudness of a
    sound shorter than a block; here it is one block. Frequencies above 11,025 Hz aren't in the samples, so they don't
    count.

    Args:
        samples: mono, [n], n > 0, at 22,050 Hz.

    Returns: LUFS, or None where every block is below -70 LUFS.
    """
    power = _block_power(_k_weighted(samples))
    loud = power[_lufs(power) > _ABSOLUTE_GATE_LUFS]
    if not len(loud):
        return None
    loud = loud[_lufs(loud) > _lufs(loud.mean()) + _RELATIVE_GATE_LU]
    return float(_lufs(loud.mean()))


def _lufs(power: np.ndarray) -> np.ndarray:
    return _OFFSET_DB + 10.0 * np.log10(np.maximum(power, 1e-20))


def _k_weighted(samples: np.ndarray) -> np.ndarray:
    import scipy.signal

    return scipy.signal.sosfilt(_k_weighting(), samples.astype(np.float64))


def _block_power(weighted: np.ndarray) -> np.ndarray:
    """Mean square of each block, [blocks]."""
    block, step = min(round(_BLOCK_S * SAMPLE_RATE), len(weighted)), round(_STEP_S * SAMPLE_RATE)
    # Differences of the cumulated energy: overlapping blocks aren't summed more than once.
    energy = np.concatenate([np.zeros(1), np.cumsum(weighted**2)])
    return (energy[block:] - energy[:-block])[::step] / block


@cache
def _k_weighting() -> np.ndarray:
    """The standard's two filters at 22,050 Hz, second-order sections [2, 6]."""
    return np.concatenate([_at_sample_rate(_HEAD), _at_sample_rate(_LOW_CUT)])


def _at_sample_rate(section: tuple[float, ...]) -> np.ndarray:
    """A second-order section for 48 kHz, [6], as one for 22,050 Hz, [1, 6].

    The inverse bilinear transform at 48 kHz gives the analogue prototype, the bilinear transform at 22,050 Hz the
    digital filter; the standard has no coefficients for other rates.
    """
    import scipy.signal

    zeros, poles, gain = scipy.signal.sos2zpk(np.array([section]))
    # z = (c + s) / (c - s) with c = 2 * rate, solved for s; a factor (z - z0) becomes (s - s0) * 2c / (c - s0).
    c = 2.0 * _STANDARD_RATE
    zeros, poles = (c * (roots - 1) / (roots + 1) for roots in (zeros, poles))
    gain *= np.real(np.prod(c - poles) / np.prod(c - zeros))
    return scipy.signal.zpk2sos(*scipy.signal.bilinear_zpk(zeros, poles, gain, SAMPLE_RATE))
