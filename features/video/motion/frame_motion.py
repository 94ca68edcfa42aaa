"""How things move in a film, from pairs of frames a short time apart."""

import numpy as np

DIM = 34
_DIRECTIONS = 8
_STEP = 2
_MINIMUM = 1e-3
_STILL = 0.02
_SUMMARY = 14


def motion(pairs: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """Motion statistics, float32 [34], of frame pairs uint8 [n, 2, side, side, 3] that are `gaps` [n] seconds apart.

    A pair whose gap is 0 is one frame, and tells of no change within it.

    In order:
        0 to 3: change within a pair (mean absolute difference of luma, 0 to 1): mean, standard deviation, most;
        3 to 6: change from one pair to the next, likewise;
        6 to 20: the whole picture's shift (camera), as in `_summary`;
        20 to 34: the shift of what isn't in the film's median picture (things before a fixed camera), likewise.
    """
    grey, apart = luma(pairs), gaps > 0
    ground = np.median(grey.reshape(-1, *grey.shape[2:]), axis=0)
    (before, after), gap_s = np.moveaxis(grey[apart], 1, 0), gaps[apart]
    blocks = (
        _change(np.abs(after - before).mean(axis=(1, 2))),
        _change(np.abs(np.diff(grey[:, 0], axis=0)).mean(axis=(1, 2))),
        _summary(shifts(before, after), gap_s),
        _summary(shifts(before - ground, after - ground), gap_s),
    )
    return np.concatenate(blocks).astype(np.float32)


def mean_change(pairs: np.ndarray, gaps: np.ndarray) -> float:
    """Mean absolute difference of luma within pairs, 0 to 1; arguments as for `motion`."""
    grey = luma(pairs[gaps > 0])
    return float(np.abs(grey[:, 1] - grey[:, 0]).mean()) if len(grey) else 0.0


def luma(pairs: np.ndarray) -> np.ndarray:
    """Luma from 0 to 1 at half the size, float32 [n, 2, side / 2, side / 2], of pairs uint8 [n, 2, side, side, 3]."""
    full = pairs.astype(np.float32) @ (np.array([0.299, 0.587, 0.114], np.float32) / 255)
    rows = full[:, :, ::_STEP] + full[:, :, 1::_STEP]
    return (rows[..., ::_STEP] + rows[..., 1::_STEP]) / _STEP**2


def _change(values: np.ndarray) -> np.ndarray:
    return np.array([values.mean(), values.std(), values.max()]) if len(values) else np.zeros(3)


def shifts(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Shifts from `before` to `after` [n, h, w] by phase correlation: right and down, in shares of the sides, [n, 2].

    The inverse transform of the normalised cross-power spectrum peaks at the shift (Kuglin and Hines 1975); a parabola
    through the peak's neighbours finds it between pixels. Pairs without contrast or change have shift 0.
    """
    height, width = before.shape[1:]
    window = np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)
    spectra = [np.fft.rfft2((x - x.mean(axis=(1, 2), keepdims=True)) * window) for x in (before, after)]
    cross = spectra[1] * np.conj(spectra[0])
    surfaces = np.fft.irfft2(
        cross / np.maximum(np.abs(cross), 1e-9 + 1e-3 * np.abs(cross).max(axis=(1, 2), keepdims=True))
    )
    found = np.array([_peak(surface) for surface in surfaces]).reshape(-1, 2)
    flat = (before.std(axis=(1, 2)) < _STILL / 4) | (np.abs(after - before).max(axis=(1, 2)) < _STILL)
    found[flat] = 0.0
    return found


def _peak(surface: np.ndarray) -> tuple[float, float]:
    """Where the surface is highest, (right, down), as shares of its width and height, between -0.5 and 0.5."""
    height, width = surface.shape
    row, column = (int(i) for i in np.unravel_index(np.argmax(surface), surface.shape))
    down = row + _between(surface[row - 1, column], surface[row, column], surface[(row + 1) % height, column])
    right = column + _between(surface[row, column - 1], surface[row, column], surface[row, (column + 1) % width])
    return _wrapped(right / width), _wrapped(down / height)


def _between(left: float, middle: float, right: float) -> float:
    bend = left - 2 * middle + right
    return float(np.clip(0.5 * (left - right) / bend, -0.5, 0.5)) if bend < 0 else 0.0


def _wrapped(share: float) -> float:
    return (share + 0.5) % 1.0 - 0.5


def _summary(moved: np.ndarray, gap_s: np.ndarray) -> np.ndarray:
    """Of shifts [n, 2] within `gap_s` [n], as picture widths (heights) a second: mean right, mean down, mean, standard
    deviation and most of the speed, share of pairs that move; then the speed in each of 8 directions (right, right and
    down, down, ...), averaged over all pairs; [14]."""
    if not len(moved):
        return np.zeros(_SUMMARY)
    velocities = moved / gap_s[:, None]
    speeds = np.hypot(velocities[:, 0], velocities[:, 1])
    speeds[speeds < _MINIMUM] = 0.0
    angles = np.arctan2(velocities[:, 1], velocities[:, 0])
    sectors = np.round(angles / (2 * np.pi / _DIRECTIONS)).astype(int) % _DIRECTIONS
    directions = np.bincount(sectors, speeds, _DIRECTIONS) / len(speeds)
    moving = [speeds.mean(), speeds.std(), speeds.max(), (speeds > 0).mean()]
    return np.concatenate([velocities.mean(axis=0), moving, directions])
