"""How the frames of a film stand when a player shows them."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

_MATRIX = "DISPLAYMATRIX"
# FFmpeg's filters, with their arguments, for quarter turns counterclockwise and mirroring before them.
_FILTERS: dict[tuple[int, bool], tuple[tuple[str, str | None], ...]] = {
    (1, False): (("transpose", "cclock"),),
    (2, False): (("hflip", None), ("vflip", None)),
    (3, False): (("transpose", "clock"),),
    (0, True): (("hflip", None),),
    (1, True): (("hflip", None), ("transpose", "cclock")),
    (2, True): (("vflip", None),),
    (3, True): (("hflip", None), ("transpose", "clock")),
}


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways in which a stored picture is shown.

    It is mirrored left to right if `mirrored`, then rotated by `turns` quarter turns counterclockwise (0 to 3).
    """

    turns: int = 0
    mirrored: bool = False

    @property
    def sideways(self) -> bool:
        """Width and height change places."""
        return self.turns % 2 == 1

    def motion(self, stored: np.ndarray) -> np.ndarray:
        """A grid of displacements [rows, columns, 2], right and down, as they are seen in the shown picture."""
        cells = np.rot90(stored[:, ::-1] if self.mirrored else stored, self.turns)
        right, down = np.moveaxis(cells, -1, 0)
        if self.mirrored:
            right = -right
        for _ in range(self.turns):
            # What went down goes right, what went right goes up.
            right, down = down, -right
        return np.stack([right, down], axis=-1)


class FrameTurner:
    """Turns the frames of a film as they are shown.

    The stored planes are turned before any scaling, by the filters that FFmpeg's programs use: scaled first, colours
    would lie up to a pixel beside where players show them, as chroma is stored between pixels.
    """

    def __init__(self) -> None:
        self._made_for: tuple[Any, ...] = ()
        self._graph: Any = None

    def turned(self, frame: Any, orientation: Orientation) -> Any:
        """An `av.VideoFrame` as it is shown: the given one where it stands upright.

        Raises:
            OSError: FFmpeg refuses the frame.
        """
        filters = _FILTERS.get((orientation.turns, orientation.mirrored))
        if filters is None:
            return frame
        made_for = (filters, frame.width, frame.height, frame.format.name)
        if made_for != self._made_for:
            self._graph, self._made_for = _filter_graph(*made_for), made_for
        self._graph.push(frame)
        return self._graph.pull()


def _filter_graph(filters: tuple[tuple[str, str | None], ...], width: int, height: int, pixel_format: str) -> Any:
    """A configured `av.filter.Graph` for frames of this size and format."""
    from av.filter import Graph
    from av.video.format import VideoFormat

    graph = Graph()
    graph.threads = 1
    # The unit of time has no meaning for these filters.
    source = graph.add_buffer(width=width, height=height, format=VideoFormat(pixel_format), time_base=Fraction(1, 1000))
    graph.link_nodes(source, *(graph.add(*filter_) for filter_ in filters), graph.add("buffersink")).configure()
    return graph


def side_data(frame: Any) -> dict[str, Any]:
    """What FFmpeg attached to a decoded `av.VideoFrame`: `av.sidedata.sidedata.SideData` by the name of its type.

    Empty for a frame with data of a type that PyAV has no name for: it lists all or nothing.
    """
    from av.sidedata.sidedata import SideDataContainer

    # `frame.side_data` would put the frame into a reference cycle, so that pictures stay in memory until a collection.
    container: Any = SideDataContainer
    try:
        return {data.type.name: data for data in container(frame)}
    except ValueError:
        return {}


def frame_orientation(frame: Any, attached: dict[str, Any]) -> Orientation:
    """The orientation of a decoded `av.VideoFrame` by its display matrix, upright where it has none.

    Args:
        frame: the frame; its rotation counts where `attached` lacks the matrix, which leaves mirrors out.
        attached: its `side_data`.
    """
    if _MATRIX in attached:
        return matrix_orientation(np.frombuffer(attached[_MATRIX], np.int32))
    return Orientation(turns=round(frame.rotation / 90) % 4)


def matrix_orientation(matrix: np.ndarray) -> Orientation:
    """The orientation that is nearest to a display matrix; other angles than quarter turns are rounded.

    A matrix a, b, u, c, d, v, x, y, w shows the stored point (p, q), right and down, at (ap + cq + x, bp + dq + y)
    (ISO/IEC 14496-12, 6.2.2; `libavutil/display.h`). It mirrors where ad - bc is negative, and a rotation by t
    counterclockwise is a = d = cos t, c = -b = sin t.

    Args:
        matrix: int32 [9].
    """
    a, b, _, c, d = matrix[:5].astype(np.float64)
    mirrored = bool(a * d < b * c)
    if mirrored:
        # The stored picture is mirrored first: p becomes -p.
        a, b = -a, -b
    return Orientation(turns=round(np.arctan2(c - b, a + d) / (np.pi / 2)) % 4, mirrored=mirrored)
