"""Motion statistics of a film, from pairs of frames a short time apart."""

import numpy as np

DIM = 34
_DIRECTIONS = 8
_STEP = 2
_MINIMUM = 1e-3
_STILL = 0.02
_SHIFT_STATISTICS = 14


def motion_statistics(pairs: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """Statistics of the motion within and between pairs of frames.

    Args:
        pairs: uint8 [n, 2, side, side, 3], RGB, in order of time.
        gaps: [n], seconds between the two frames of a pair; where 0, the pair is one frame and isn't counted within.

    Returns: float32 [34]
        0 to 3: difference within a pair (mean absolute difference of luma, 0 to 1): mean, standard deviation, maximum;
        3 to 6: difference from one pair to the next, likewise;
        6 to 20: shift of the whole picture (the camera), as in `_shift_statistics`;
        20 to 34: shift of what isn't in the film's median picture (objects before a fixed camera), likewise.
    """
    grey, apart = luma(pairs), gaps > 0
    background = np.median(grey.reshape(-1, *grey.shape[2:]), axis=0)
    (before, after), gap_s = np.moveaxis(grey[apart], 1, 0), gaps[apart]
    blocks = (
        _difference_statistics(np.abs(after - before).mean(axis=(1, 2))),
        _difference_statistics(np.abs(np.diff(grey[:, 0], axis=0)).mean(axis=(1, 2))),
        _shift_statistics(phase_shifts(before, after), gap_s),
        _shift_statistics(phase_shifts(before - background, after - background), gap_s),
    )
    return np.concatenate(blocks).astype(np.float32)


def mean_difference(pairs: np.ndarray, gaps: np.ndarray) -> float:
    """Mean absolute difference of luma within pairs, 0 to 1; arguments as for `motion_statistics`."""
    grey = luma(pairs[gaps > 0])
    return float(np.abs(grey[:, 1] - grey[:, 0]).mean()) if len(grey) else 0.0


def luma(pairs: np.ndarray) -> np.ndarray:
    """Luma (ITU-R BT.601) of pairs uint8 [n, 2, side, side, 3]: float32 [n, 2, side / 2, side / 2], 0 to 1."""
    full = pairs.astype(np.float32) @ (np.array([0.299, 0.587, 0.114], np.float32) / 255)
    # Means of blocks of 2 x 2.
    rows = full[:, :, ::_STEP] + full[:, :, 1::_STEP]
    return (rows[..., ::_STEP] + rows[..., 1::_STEP]) / _STEP**2


def _difference_statistics(values: np.ndarray) -> np.ndarray:
    """Mean, standard deviation and maximum of `values` [n], [3]; zeros where n is 0."""
    return np.array([values.mean(), values.std(), values.max()]) if len(values) else np.zeros(3)


def phase_shifts(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Shifts between pictures by phase correlation.

    The inverse transform of the normalised cross-power spectrum has its peak at the shift (Kuglin and Hines 1975); a
    parabola through the peak's neighbours locates it between pixels.

    Args:
        before, after: luma, float32 [n, h, w].

    Returns: [n, 2], right and down, as shares of width and height; 0 for pairs without contrast or difference.
    """
    height, width = before.shape[1:]
    # The transform takes pictures for periodic: a window removes the step between opposite borders.
    window = np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)
    spectra = [np.fft.rfft2((x - x.mean(axis=(1, 2), keepdims=True)) * window) for x in (before, after)]
    cross = spectra[1] * np.conj(spectra[0])
    # Frequencies with next to no power have a random phase: the lower bound takes away their weight.
    surfaces = np.fft.irfft2(
        cross / np.maximum(np.abs(cross), 1e-9 + 1e-3 * np.abs(cross).max(axis=(1, 2), keepdims=True))
    )
    found = np.array([_peak(surface) for surface in surfaces]).reshape(-1, 2)
    flat = (before.std(axis=(1, 2)) < _STILL / 4) | (np.abs(after - before).max(axis=(1, 2)) < _STILL)
    found[flat] = 0.0
    return found


def _peak(surface: np.ndarray) -> tuple[float, float]:
    """The peak of `surface` [h, w] as (right, down), in shares of its width and height, -0.5 to 0.5."""
    height, width = surface.shape
    row, column = (int(i) for i in np.unravel_index(np.argmax(surface), surface.shape))
    down = row + _peak_offset(surface[row - 1, column], surface[row, column], surface[(row + 1) % height, column])
    right = column + _peak_offset(surface[row, column - 1], surface[row, column], surface[row, (column + 1) % width])
    return _wrapped(right / width), _wrapped(down / height)


def _peak_offset(left: float, middle: float, right: float) -> float:
    """The peak of the parabola through three neighbouring values, as an offset from the middle one, -0.5 to 0.5."""
    bend = left - 2 * middle + right
    return float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if bend < 0 else 0.0


def _wrapped(share: float) -> float:
    """A shift of a periodic surface as the equivalent one from -0.5 to 0.5."""
    return (share + 0.5) % 1.0 - 0.5


def _shift_statistics(shifts: np.ndarray, gap_s: np.ndarray) -> np.ndarray:
    """Statistics of velocities, in picture widths (heights) a second.

    Args:
        shifts: [n, 2], right and down, as shares of width and height.
        gap_s: [n], the seconds that each shift took.

    Returns: [14], zeros where n is 0: mean right, mean down; mean, standard deviation and maximum of the speed; share
        of pairs that move; then the speed in each of 8 directions (right, right and down, down, ...), averaged over all
        pairs.
    """
    if not len(shifts):
        return np.zeros(_SHIFT_STATISTICS)
    velocities = shifts / gap_s[:, None]
    speeds = np.hypot(velocities[:, 0], velocities[:, 1])
    speeds[speeds < _MINIMUM] = 0.0
    angles = np.arctan2(velocities[:, 1], velocities[:, 0])
    sectors = np.round(angles / (2 * np.pi / _DIRECTIONS)).astype(int) % _DIRECTIONS
    directions = np.bincount(sectors, speeds, _DIRECTIONS) / len(speeds)
    moving = [speeds.mean(), speeds.std(), speeds.max(), (speeds > 0).mean()]
    return np.concatenate([velocities.mean(axis=0), moving, directions])
