"""Any number of channels → one."""

import numpy as np

CANCELLED = 0.1


def downmix(channels: np.ndarray) -> np.ndarray:
    """The mean of a sound's channels, or the strongest channel where they cancel each other.

    The mean never exceeds the loudest channel, so that nothing is clipped, and equal channels stay as they are. Of the
    channels' mean power (variance, as a constant offset is no sound) the mean of c equal channels keeps all, that of c
    independent ones, or of one among silent ones, 1 / c. Less than `CANCELLED` of that 1 / c is left only where
    channels are in opposite phase, as with reversed polarity of a cable or of a microphone: in stereo where their
    correlation is below -0.9. What is left is then the channels' difference in level or noise and no longer the sound,
    so the channel of most power is taken, the first of equals.

    Args:
        channels: float32 [n, c], n > 0, c > 0, finite.

    Returns: float32 [n].

    >>> left = np.array([0.5, -0.25, 0.5], np.float32)
    >>> downmix(np.stack([left, 0.5 * left], axis=1)).tolist()
    [0.375, -0.1875, 0.375]
    >>> downmix(np.stack([left, -left], axis=1)).tolist()
    [0.5, -0.25, 0.5]
    """
    count = channels.shape[1]
    if count == 1:
        return channels[:, 0]
    # Sums of float32 in float64 are exact for equal channels.
    total = np.zeros(len(channels), np.float64)
    for channel in channels.T:
        total += channel
    mean = (total / count).astype(np.float32)
    powers = np.array([_power(channel) for channel in channels.T])
    if _power(mean) < CANCELLED / count * powers.mean():
        return np.ascontiguousarray(channels[:, np.argmax(powers)])
    return mean


def _power(samples: np.ndarray) -> float:
    return float(np.var(samples, dtype=np.float64))
