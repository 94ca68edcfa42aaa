"""Charts as SVG and HTML, without a script: they take their colours from the page's style, in light and dark.

What a chart says stands beside it in words or numbers too, so that charts in tables are hidden from screen readers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from markupsafe import Markup

from jobs.reporting.words import both, number, percent

WIDTH, HEIGHT = 340, 150
LEFT, RIGHT, TOP, BOTTOM = 40, 8, 10, 22
SQUARE = 280
CUT = 4
"""A column that is so many times as high as the next is cut off."""
FEW = 12
"""Up to so many nights, each has a mark of its own."""


@dataclass(frozen=True)
class Scale:
    """Numbers from `low` to `high` as percentages of a width; a little is left free at both ends."""

    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float | None], *, zero: bool = False) -> "Scale":
        """A scale that holds all of some numbers, and 0 if wanted."""
        known = [value for value in values if value is not None] + [0.0] * zero
        low, high = (min(known), max(known)) if known else (0.0, 1.0)
        return cls(low, high if high > low else low + 1)

    def at(self, value: float) -> float:
        """
        >>> Scale(0, 2).at(1)
        50.0
        """
        return round(2 + 96 * (value - self.low) / (self.high - self.low), 2)


def interval(
    value: float, low: float | None, high: float | None, *, scale: Scale, kind: str = "", mark: float | None = None
) -> Markup:
    """A dot with its interval on a track as wide as its place allows.

    Args:
        kind: a class of the style, such as `serving`.
        mark: where a dashed line stands, to compare with.
    """
    parts = [Markup('<line class="track" x1="2%" x2="98%" y1="11" y2="11"/>')]
    if mark is not None:
        parts.append(Markup('<line class="mark" x1="{0}%" x2="{0}%" y1="1" y2="21"/>').format(scale.at(mark)))
    if low is not None and high is not None:
        ends = scale.at(low), scale.at(high)
        parts.append(Markup('<line class="whisker" x1="{}%" x2="{}%" y1="11" y2="11"/>').format(*ends))
    parts.append(Markup('<circle cx="{}%" cy="11" r="5"/>').format(scale.at(value)))
    return Markup('<svg class="dot {}" aria-hidden="true" width="100%" height="22">{}</svg>').format(
        kind, Markup("").join(parts)
    )


def contributions(parts: Mapping[str, float], *, most: float, least: float) -> Markup:
    """The parts of a score on both sides of a line that is 0: what raises it on the right, what lowers it, hatched, on
    the left.

    Args:
        most, least: the largest sum of parts above 0, and the sum of parts below 0 that is farthest from it (0 or
            less), among all scores that are compared; one unit is as long on both sides.
    """
    whole = (most - least) or 1.0
    sides = []
    for side, wanted, room in (("minus", -1, -least), ("plus", 1, most)):
        shown = sorted(((n, abs(v)) for n, v in parts.items() if v * wanted > 0), key=lambda p: -p[1])
        bars = [
            Markup('<i class="{} {}" style="width:{}%"></i>').format(n, side, round(100 * v / room, 2))
            for n, v in shown
            if room > 0
        ]
        width = round(100 * room / whole, 2)
        sides.append(
            Markup('<span class="side {}" style="width:{}%">{}</span>').format(side, width, Markup("").join(bars))
        )
    return Markup('<span class="signed" aria-hidden="true">{}</span>').format(Markup("").join(sides))


def shares(parts: Sequence[tuple[str, float]]) -> Markup:
    """Parts of one whole, side by side."""
    whole = sum(value for _, value in parts) or 1
    bars = [
        Markup('<i class="{}" style="width:{}%"></i>').format(name, round(100 * value / whole, 2))
        for name, value in parts
        if value
    ]
    return Markup('<span class="shares" aria-hidden="true">{}</span>').format(Markup("").join(bars))


def bar(share: float, kind: str = "") -> Markup:
    """A share of 1 as a bar."""
    return Markup('<span class="shares" aria-hidden="true"><i class="{}" style="width:{}%"></i></span>').format(
        kind, round(100 * min(1.0, max(0.0, share)), 2)
    )


def columns(nights: Sequence[date], stacks: Sequence[Sequence[tuple[str, float]] | None], *, label: str) -> Markup:
    """A column a night, each of parts that stand on one another; None where a night has none.

    A column that is far higher than all others, as the first night's often is, is cut off, with its height in numbers
    beside it, so that the others can be read.

    Args:
        label: what it shows, in both languages, for screen readers.
    """
    heights = [sum(value for _, value in stack) if stack else 0 for stack in stacks]
    *_, second, highest = sorted([0, 0, *heights])
    cut = second > 0 and highest > CUT * second
    top = 1.25 * second if cut else highest or 1
    step = (WIDTH - LEFT - RIGHT) / max(1, len(nights))
    wide = min(28.0, step * 0.8)
    drawn = []
    for place, (stack, height) in enumerate(zip(stacks, heights, strict=True)):
        base, x = float(HEIGHT - BOTTOM), LEFT + step * place + (step - wide) / 2
        shrunk = min(1.0, top / height) if height else 1.0
        for name, value in stack or ():
            tall = value * shrunk / top * (HEIGHT - TOP - BOTTOM)
            base -= tall
            drawn.append(
                Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"/>').format(
                    name, x, base, wide, tall
                )
            )
        if shrunk < 1:
            half = place < len(stacks) / 2
            drawn.append(
                Markup('<text x="{:.1f}" y="{}" text-anchor="{}">{} {}</text>').format(
                    x + wide + 3 if half else x - 3, TOP + 11, "start" if half else "end", "↑", _short(height)
                )
            )
    return _over_nights(nights, drawn, low="0", high=_short(top), label=label)


@dataclass(frozen=True)
class Line:
    """A line over nights: of each a value with an interval, or None.

    Attributes:
        kind: a class of the style.
    """

    kind: str
    points: Sequence[tuple[float, float | None, float | None] | None]


def lines(
    nights: Sequence[date], drawn: Sequence[Line], *, label: str, high: float | None = None, shares: bool = False
) -> Markup:
    """Lines over nights, with bands where there are intervals; a night without a value leaves a gap.

    Args:
        high: the top of the axis; the highest end of an interval if None. Its bottom is 0.
        shares: the axis is of percentages.
    """
    ends = [end for line in drawn for point in line.points if point for end in point if end is not None]
    top = high or max(ends, default=1.0) or 1.0
    step = (WIDTH - LEFT - RIGHT) / max(1, len(nights))

    def x(place: int) -> float:
        return LEFT + step * (place + 0.5)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - min(value, top) / top * (HEIGHT - TOP - BOTTOM)

    shapes: list[Markup] = []
    for line in drawn:
        for run in _runs(line.points):
            ranged = [(p, low, up) for p, (_, low, up) in run if low is not None and up is not None]
            if len(ranged) > 1:
                outline = [(x(p), y(up)) for p, _, up in ranged] + [(x(p), y(low)) for p, low, _ in ranged[::-1]]
                shapes.append(Markup('<polygon class="band {}" points="{}"/>').format(line.kind, _points(outline)))
            path = [(x(p), y(value)) for p, (value, _, _) in run]
            if len(path) > 1:
                shapes.append(Markup('<polyline class="line {}" points="{}"/>').format(line.kind, _points(path)))
            if len(nights) <= FEW or len(path) == 1:
                shapes += [
                    Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="3.5"/>').format(line.kind, *p) for p in path
                ]
                if len(path) == 1:
                    shapes += [
                        Markup(
                            '<line class="whisker {0}" x1="{1:.1f}" x2="{1:.1f}" y1="{2:.1f}" y2="{3:.1f}"/>'
                        ).format(line.kind, x(p), y(low), y(up))
                        for p, low, up in ranged
                    ]
    high_label = percent(top) if shares else number(top, 2)
    return _over_nights(nights, shapes, low="0", high=high_label, label=label)


def square(
    curves: Mapping[str, Sequence[tuple[float, float]]],
    *,
    across: tuple[str, str],
    up: tuple[str, str],
    label: str,
    top: float = 1.0,
    diagonal: bool = False,
    level: float | None = None,
    dots: bool = False,
) -> Markup:
    """Curves over a square from 0 to `top` on both axes.

    Args:
        curves: class of the style → points.
        across, up: what the axes show, in both languages.
        diagonal: a dashed line from 0 to `top` to compare with.
        level: where a dashed level line stands, to compare with.
        dots: the points are marked.
    """
    edge, inner = 50, SQUARE - 50 - 12

    def at(point: tuple[float, float]) -> tuple[float, float]:
        return edge + point[0] / top * inner, 12 + inner - min(point[1], top) / top * inner

    shapes = []
    for part in (0, 0.5, 1):
        (x, _), (_, y) = at((part * top, 0)), at((0, part * top))
        text = number(part * top, 2) if top < 1 else f"{part:g}"
        shapes += [
            Markup('<line class="grid" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(edge, edge + inner, y, y),
            Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(edge - 4, y + 4, text),
            Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(x, 12 + inner + 13, text),
        ]
    if diagonal:
        shapes.append(Markup('<polyline class="mark" points="{}"/>').format(_points([at((0, 0)), at((top, top))])))
    if level is not None:
        shapes.append(
            Markup('<polyline class="mark" points="{}"/>').format(_points([at((0, level)), at((top, level))]))
        )
    for kind, points in curves.items():
        placed = [at(point) for point in points]
        shapes.append(Markup('<polyline class="line {}" points="{}"/>').format(kind, _points(placed)))
        if dots:
            shapes += [Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="3.5"/>').format(kind, *p) for p in placed]
    for which, (x, y, turn), words in (
        ("across", (edge + inner / 2, 12 + inner + 30, ""), across),
        ("up", (9, 12 + inner / 2, f"rotate(-90 9 {12 + inner / 2:.0f})"), up),
    ):
        for tongue, word in zip(("en", "zh"), words, strict=True):
            shapes.append(
                Markup(
                    '<text class="{} {}" x="{:.1f}" y="{:.1f}" text-anchor="middle" transform="{}">{}</text>'
                ).format(tongue, which, x, y, turn, word)
            )
    return Markup('<svg class="chart" role="img" aria-label="{}" viewBox="0 0 {} {}">{}</svg>').format(
        label, SQUARE, 12 + inner + 36, Markup("").join(shapes)
    )


def key(names: Sequence[tuple[str, Markup]]) -> Markup:
    """What the colours of a chart mean: class of the style, words."""
    entries = [Markup('<span><i class="{}"></i>{}</span>').format(kind, words) for kind, words in names]
    return Markup('<p class="key">{}</p>').format(Markup("").join(entries))


def alt(parts: Mapping[str, float]) -> str:
    """The parts of a score in words that a tooltip shows."""
    return ", ".join(f"{both(name)} {number(value, sign=True)}" for name, value in parts.items() if value)


def _runs(
    points: Sequence[tuple[float, float | None, float | None] | None],
) -> list[list[tuple[int, tuple[float, float | None, float | None]]]]:
    """Points with their places, in runs without a gap."""
    runs: list[list[tuple[int, tuple[float, float | None, float | None]]]] = [[]]
    for place, point in enumerate(points):
        if point is None:
            runs.append([])
        else:
            runs[-1].append((place, point))
    return [run for run in runs if run]


def _over_nights(nights: Sequence[date], shapes: Sequence[Markup], *, low: str, high: str, label: str) -> Markup:
    """A frame with nights along its foot."""
    foot = HEIGHT - BOTTOM
    frame = [
        Markup('<line class="grid" x1="{}" x2="{}" y1="{}" y2="{}"/>').format(LEFT, WIDTH - RIGHT, y, y)
        for y in (TOP, foot)
    ]
    frame += [
        Markup('<text x="{}" y="{}" text-anchor="end">{}</text>').format(LEFT - 5, y + 4, text)
        for y, text in ((TOP, high), (foot, low))
    ]
    if len(nights) == 1:
        middle = (LEFT + WIDTH - RIGHT) / 2
        frame.append(Markup('<text x="{}" y="{}" text-anchor="middle">{}</text>').format(middle, HEIGHT - 6, nights[0]))
    elif nights:
        frame += [
            Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(x, HEIGHT - 6, anchor, night)
            for x, anchor, night in ((LEFT, "start", nights[0]), (WIDTH - RIGHT, "end", nights[-1]))
        ]
    return Markup('<svg class="chart" role="img" aria-label="{}" viewBox="0 0 {} {}">{}</svg>').format(
        label, WIDTH, HEIGHT, Markup("").join([*frame, *shapes])
    )


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _short(value: float) -> str:
    """A count in few characters.

    >>> _short(950), _short(12500), _short(3200000)
    ('950', '12.5k', '3.2M')
    """
    for unit, word in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.1f}".removesuffix(".0") + word
    return f"{value:,.0f}"
