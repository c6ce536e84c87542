"""Pictures as SVG text: lines, bars, histograms, timelines and the view from above.

Numbers go in, one `<svg>` element comes out; colours come from the page's style by class, so that a
page may be light or dark. No script, nothing fetched.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

WIDTH, HEIGHT = 560, 250
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 12, 36
TICKS = 5
Point = tuple[float, float]


@dataclass(frozen=True)
class Axes:
    """Values [0 … top] over [first … last] on a picture of the usual size."""

    first: float
    last: float
    top: float
    width: int = WIDTH
    height: int = HEIGHT

    def x(self, value: float) -> float:
        """Pixels from the left."""
        span = max(self.last - self.first, 1e-12)
        return LEFT + (value - self.first) / span * (self.width - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Pixels from above."""
        share = min(max(value / self.top, 0.0), 1.02)
        return self.height - BOTTOM - share * (self.height - TOP - BOTTOM)

    def drawn(self, x_title: str, *, x_ticks: bool = True) -> str:
        """Grid, numbers and the title of the horizontal axis."""
        parts = []
        for value in ticks(0.0, self.top):
            y = self.y(value)
            parts.append(
                f'<path class="grid" d="M{LEFT} {y:.1f}H{self.width - RIGHT}"/>'
                + text(LEFT - 6, y + 4, short(value), anchor="end")
            )
        if x_ticks:
            below = self.height - BOTTOM + 14
            parts += [text(self.x(v), below, short(v)) for v in ticks(self.first, self.last)]
        parts.append(text((LEFT + self.width - RIGHT) / 2, self.height - 5, x_title, style="title"))
        return "".join(parts)


def svg(body: str, width: int = WIDTH, height: int = HEIGHT, title: str = "") -> str:
    """The element; `title` is read aloud."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img"><title>{html.escape(title)}</title>{body}</svg>'
    )


def text(x: float, y: float, words: str, *, anchor: str = "middle", style: str = "") -> str:
    """Words at a place."""
    kind = f' class="{style}"' if style else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{kind}>{html.escape(words)}</text>'


def ticks(first: float, last: float) -> list[float]:
    """About TICKS round values from `first` to `last`."""
    span = last - first
    if span <= 0:
        return [first]
    raw = span / TICKS
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= raw * 0.999)
    start = math.ceil(first / step - 1e-9)
    return [step * k for k in range(start, math.floor(last / step + 1e-9) + 1)]


def short(value: float) -> str:
    """A tick's number."""
    return f"{value:g}" if abs(value) < 10_000 else f"{value / 1000:g}k"


def nothing(words: str = "nothing to show") -> str:
    """A picture of nothing, which says so."""
    return svg(text(WIDTH / 2, HEIGHT / 2, words, style="title"), title=words)


def lines(series: Mapping[str, Sequence[Point]], x_title: str, top: float | None = None) -> str:
    """Lines over a common axis; the key is the style of a line."""
    points = [point for some in series.values() for point in some]
    if len(points) < 2:
        return nothing()
    most = top or max(max(y for _, y in points) * 1.05, 1e-9)
    axes = Axes(min(x for x, _ in points), max(x for x, _ in points), most)
    body = axes.drawn(x_title)
    for style, some in series.items():
        path = " ".join(f"{axes.x(x):.1f},{axes.y(y):.1f}" for x, y in _thinned(some))
        body += f'<polyline class="line {style}" points="{path}"/>'
    return svg(body, title=x_title)


def histogram(
    counts: Sequence[int],
    edges: Sequence[float],
    x_title: str,
    *,
    expected: Sequence[float] | None = None,
    marks: Iterable[tuple[float, str]] = (),
) -> str:
    """Shares of all values by bin; `expected` shares as a line, `marks` as named uprights."""
    total = sum(counts)
    if not total:
        return nothing()
    shares = [count / total for count in counts]
    axes = Axes(edges[0], edges[-1], max(*shares, *(expected or ())) * 1.08)
    body = axes.drawn(x_title)
    for share, (low, high) in zip(shares, pairwise(edges), strict=True):
        x, y = axes.x(low), axes.y(share)
        body += (
            f'<rect class="said" x="{x + 0.5:.1f}" y="{y:.1f}" '
            f'width="{max(axes.x(high) - x - 1, 0.5):.1f}" height="{axes.y(0) - y:.1f}"/>'
        )
    if expected is not None:
        middle = [(low + high) / 2 for low, high in pairwise(edges)]
        path = " ".join(
            f"{axes.x(x):.1f},{axes.y(y):.1f}" for x, y in zip(middle, expected, strict=True)
        )
        body += f'<polyline class="line true" points="{path}"/>'
    for row, (value, words) in enumerate(marks):
        x = axes.x(min(value, edges[-1]))
        body += f'<path class="mark" d="M{x:.1f} {TOP}V{axes.y(0):.1f}"/>' + text(
            x + 4, TOP + 9 + 13 * row, words, anchor="start"
        )
    return svg(body, title=x_title)


def bars(groups: Mapping[str, Mapping[str, float | None]], top: float = 1.0) -> str:
    """For every group one bar per series (its style); a missing one is a dash."""
    if not groups:
        return nothing()
    axes = Axes(0.0, len(groups), top)
    body = axes.drawn("", x_ticks=False)
    for index, (name, values) in enumerate(groups.items()):
        wide = (axes.x(index + 1) - axes.x(index)) * 0.8 / max(len(values), 1)
        left = axes.x(index + 0.1)
        for step, (style, value) in enumerate(values.items()):
            x = left + step * wide
            if value is None:
                body += text(x + wide / 2, axes.y(0) - 4, "–")
                continue
            y = axes.y(value)
            body += (
                f'<rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="{wide - 2:.1f}" '
                f'height="{axes.y(0) - y:.1f}"/>'
            )
            if wide > 20:
                body += text(x + wide / 2 - 1, y - 3, f"{value:.2f}", style="small")
        body += text(axes.x(index + 0.5), HEIGHT - BOTTOM + 15, name)
    return svg(body, title="bars")


def spans(rows: Sequence[tuple[str, float, float, float | None, bool]], seconds: float) -> str:
    """A timeline: name, from, until, when told (s; None: never), and whether it was true at all."""
    if not rows:
        return nothing()
    left, width, step = 210, 1140, 24
    height = 30 + step * len(rows)

    def x(second: float) -> float:
        share = min(max(second / max(seconds, 1e-9), 0.0), 1.0)
        return left + share * (width - left - 20)

    body = ""
    for value in ticks(0.0, seconds):
        body += f'<path class="grid" d="M{x(value):.1f} 4V{height - 24}"/>'
        body += text(x(value), height - 8, f"{short(value)} s")
    for index, (name, begin, end, told, true) in enumerate(rows):
        y = 8 + index * step
        words = f"{name} (not so)" if not true else name
        body += text(left - 8, y + 12, words, anchor="end")
        style = "missed" if told is None else "true"
        if true:
            body += (
                f'<rect class="{style}" x="{x(begin):.1f}" y="{y}" '
                f'width="{max(x(end) - x(begin), 2):.1f}" height="15" rx="2"/>'
            )
        if told is not None:
            at = x(told)
            body += (
                f'<path class="{"said" if true else "missed"}" '
                f'd="M{at:.1f} {y - 2}l6 9.5l-6 9.5l-6 -9.5z"/>'
            )
            words = f"after {told - begin:.1f} s" if true else f"at {told:.1f} s"
            room = at < width - 120
            body += text(at + (10 if room else -10), y + 12, words, style="small",
                         anchor="start" if room else "end")  # fmt: skip
        else:
            body += text(x(begin) + 6, y + 11, "not reported", anchor="start", style="on")
    return svg(body, width, height, "events")


def from_above(
    layers: Sequence[tuple[str, Sequence[Sequence[Point]]]],
    spots: Mapping[Point, float],
    places: Mapping[str, Point],
    side: int = 620,
) -> str:
    """Paths (m, east and north) by style; `spots` as dots of a weight 0..1; named places."""
    points = [point for _, paths in layers for path in paths for point in path]
    if not points:
        return nothing()
    far = sorted(max(abs(x), abs(y)) for x, y in points)
    reach = min(max(far[int(0.98 * (len(far) - 1))] * 1.05, 10.0), 150.0)
    scale = side / (2 * reach)

    def at(point: Point) -> str:
        return f"{side / 2 + point[0] * scale:.1f},{side / 2 - point[1] * scale:.1f}"

    body, middle, slope = "", side / 2, math.sqrt(0.5)
    for radius in (20, 40, 60, 80, 120):
        body += f'<circle class="grid" cx="{middle}" cy="{middle}" r="{radius * scale:.1f}"/>'
        across = middle + slope * radius * scale + 3, middle - slope * radius * scale - 3
        if radius < reach * 1.3:
            body += text(*across, f"{radius} m", anchor="start", style="small")
    for style, paths in layers:
        for path in paths:
            if len(path) > 1:
                body += f'<polyline class="path {style}" points="{" ".join(map(at, path))}"/>'
    for point, weight in spots.items():
        x, y = at(point).split(",")
        body += f'<circle class="missed" cx="{x}" cy="{y}" r="1.6" opacity="{weight:.2f}"/>'
    for name, point in places.items():
        x, y = at(point).split(",")
        body += f'<path class="mark" d="M{x} {y}m-5 4l5 -9l5 9z"/>'
        body += text(float(x) + 8, float(y) + 4, name, anchor="start", style="small")
    body += text(side - 16, 20, "N", style="title") + (
        f'<path class="mark" d="M{side - 16} 26l-4 10h8z"/>'
    )
    return svg(body, side, side, "from above")


def _thinned(points: Sequence[Point], most: int = 800) -> Sequence[Point]:
    return points[:: max(len(points) // most, 1)]
