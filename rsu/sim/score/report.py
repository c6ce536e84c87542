"""The score as one page of HTML: numbers, and pictures drawn as SVG. No script, nothing fetched.

A `Score` goes in, the page's text comes out.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

import numpy as np

from rsu.sim.score.score import Score

WIDTH, HEIGHT = 560, 240
TRUE, SAID, MISSED = "#3b6ea5", "#d9822b", "#b83a3a"
HEADLINES = (
    ("recall", "recall"), ("precision", "precision"), ("mota", "MOTA"), ("idf1", "IDF1"),
    ("hota", "HOTA"), ("gospa_m.mean", "GOSPA, m"), ("all.position_m.mean", "position error, m"),
    ("all.nees.mean", "NEES (2 is right)"), ("id_switches", "id switches"),
    ("signals.accuracy", "lights right"),
)  # fmt: skip

_LEGEND = f"From above: <b style='color:{TRUE}'>truth</b>, <b style='color:{SAID}'>tracks</b>"

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:1200px;padding:0 1rem;
color:#222;background:#fafafa}
h1{font-size:1.4rem}h2{font-size:1.05rem;margin:1.6rem 0 .4rem}
.cards{display:flex;flex-wrap:wrap;gap:.6rem}
.card{background:#fff;border:1px solid #ddd;border-radius:6px;padding:.5rem .8rem;min-width:7rem}
.card b{display:block;font-size:1.25rem;font-weight:600}.card span{color:#666;font-size:.82rem}
.row{display:flex;flex-wrap:wrap;gap:1rem}
figure{margin:0;background:#fff;border:1px solid #ddd;border-radius:6px;padding:.5rem}
figcaption{font-size:.85rem;color:#555;margin-bottom:.2rem}
table{border-collapse:collapse;background:#fff;font-size:.85rem}
td,th{border:1px solid #ddd;padding:.15rem .6rem;text-align:right}
td:first-child{text-align:left;font-family:ui-monospace,monospace}
details{margin-top:1rem}
"""


def page(score: Score) -> str:
    """The whole page."""
    title = html.escape(f"{score.title}, {score.seconds:.0f} s")
    cards = "".join(
        f'<div class="card"><b>{_figure(score.numbers[name])}</b><span>{label}</span></div>'
        for name, label in HEADLINES
        if name in score.numbers
    )
    figures = "".join(
        f"<figure><figcaption>{caption}</figcaption>{picture}</figure>"
        for caption, picture in (
            (_LEGEND, _paths(score)),
            ("GOSPA over time, m", _line(score.gospa)),
            ("Position error, m", _histogram(score.position_errors, 3.0)),
            ("Recall by distance", _bars(_by_range(score, "recall"), 1.0)),
            ("Position error by distance (mean), m", _bars(_by_range(score, "position_m.mean"))),
            ("Age when published, ms (line: 99 %)", _ages(score)),
        )
    )  # fmt: skip
    events = _events(score) if score.events else "<p>Nothing was to be reported.</p>"
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{_figure(value)}</td></tr>"
        for name, value in score.numbers.items()
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>'
        f'<h1>{title}</h1><div class="cards">{cards}</div><h2>Pictures</h2>'
        f'<div class="row">{figures}</div><h2>Events</h2>{events}'
        f"<details><summary>All numbers</summary><table>{rows}</table></details></html>\n"
    )


def _paths(score: Score) -> str:
    points = [p for path in score.truth_paths.values() for p in path]
    if not points:
        return _empty()
    reach = max(float(np.quantile(np.abs(np.array(points)), 0.98)), 10.0)
    side = 2 * HEIGHT
    scale = side / (2 * reach)

    def line(path: Sequence[tuple[float, float]], colour: str, width: float) -> str:
        kept = path[:: max(len(path) // 200, 1)]
        text = " ".join(f"{side / 2 + x * scale:.1f},{side / 2 - y * scale:.1f}" for x, y in kept)
        return (
            f'<polyline points="{text}" fill="none" stroke="{colour}" stroke-width="{width}" '
            'stroke-opacity=".6"/>'
        )

    drawn = [line(path, TRUE, 2.2) for path in score.truth_paths.values()]
    drawn += [line(path, SAID, 0.9) for path in score.track_paths.values()]
    bar = 20 * scale
    drawn.append(
        f'<path d="M10 {side - 12}h{bar:.0f}" stroke="#222" stroke-width="2"/>'
        f'<text x="{14 + bar:.0f}" y="{side - 8}" font-size="12">20 m</text>'
    )
    return _svg("".join(drawn), side, side)


def _line(points: Sequence[tuple[float, float]]) -> str:
    if len(points) < 2:
        return _empty()
    kept = points[:: max(len(points) // 600, 1)]
    x, y = np.array(kept).T
    top = max(float(y.max()), 1e-9)
    span = max(float(x[-1] - x[0]), 1e-9)
    text = " ".join(
        f"{40 + (a - x[0]) / span * (WIDTH - 50):.1f},{HEIGHT - 24 - b / top * (HEIGHT - 40):.1f}"
        for a, b in zip(x.tolist(), y.tolist(), strict=True)
    )
    body = f'<polyline points="{text}" fill="none" stroke="{SAID}" stroke-width="1.4"/>'
    return _svg(body + _axes(f"{top:.1f}", f"{x[0]:.0f} s", f"{x[-1]:.0f} s"))


def _histogram(values: Sequence[float], reach: float) -> str:
    if not values:
        return _empty()
    counts, _ = np.histogram(np.minimum(values, reach - 1e-9), bins=30, range=(0.0, reach))
    top = max(int(counts.max()), 1)
    wide = (WIDTH - 50) / len(counts)
    body = "".join(
        f'<rect x="{40 + i * wide:.1f}" y="{HEIGHT - 24 - n / top * (HEIGHT - 40):.1f}" '
        f'width="{wide - 1:.1f}" height="{n / top * (HEIGHT - 40):.1f}" fill="{SAID}"/>'
        for i, n in enumerate(counts.tolist())
    )
    return _svg(body + _axes(str(top), "0", f"≥ {reach:g}"))


def _bars(values: Sequence[tuple[str, float]], top: float | None = None) -> str:
    if not values:
        return _empty()
    most = top or max(value for _, value in values) or 1.0
    wide = (WIDTH - 50) / len(values)
    body = "".join(
        f'<rect x="{44 + i * wide:.1f}" y="{HEIGHT - 24 - v / most * (HEIGHT - 48):.1f}" '
        f'width="{wide - 8:.1f}" height="{v / most * (HEIGHT - 48):.1f}" fill="{TRUE}"/>'
        f'<text x="{40 + (i + 0.5) * wide:.1f}" y="{HEIGHT - 8}" font-size="11" '
        f'text-anchor="middle">{html.escape(name)}</text>'
        f'<text x="{40 + (i + 0.5) * wide:.1f}" '
        f'y="{HEIGHT - 28 - v / most * (HEIGHT - 48):.1f}" font-size="11" '
        f'text-anchor="middle">{v:.2f}</text>'
        for i, (name, v) in enumerate(values)
    )
    return _svg(body)


def _by_range(score: Score, what: str) -> list[tuple[str, float]]:
    return [
        (name.split(".")[1], value)
        for name, value in sorted(score.numbers.items())
        if name.startswith("range.") and name.endswith(f".{what}")
    ]


def _ages(score: Score) -> str:
    rows = [
        (name, float(np.quantile(ages, 0.5)), float(np.quantile(ages, 0.99)))
        for name, ages in sorted(score.ages_ms.items())
    ]
    if not rows:
        return _empty()
    top = max(1e-9, *(p99 for _, _, p99 in rows))
    step = min((HEIGHT - 10) / len(rows), 34)
    body = "".join(
        f'<text x="4" y="{i * step + 20:.0f}" font-size="12">{html.escape(name)}</text>'
        f'<rect x="110" y="{i * step + 8:.0f}" width="{max(p50, 0) / top * (WIDTH - 200):.1f}" '
        f'height="14" fill="{TRUE}"/>'
        f'<path d="M{110 + max(p99, 0) / top * (WIDTH - 200):.1f} {i * step + 5:.0f}v20" '
        f'stroke="{MISSED}" stroke-width="2"/>'
        f'<text x="{118 + max(p99, 0) / top * (WIDTH - 200):.1f}" y="{i * step + 20:.0f}" '
        f'font-size="11">{p50:.0f} / {p99:.0f}</text>'
        for i, (name, p50, p99) in enumerate(rows)
    )
    return _svg(body)


def _events(score: Score) -> str:
    span = max(score.seconds, 1e-9)
    step, left = 22, 190
    rows: list[str] = []
    for index, (kind, begin, end, delay) in enumerate(score.events):
        y = 6 + index * step
        a, b = (left + t / span * (900 - left) for t in (begin, end))
        colour = MISSED if delay is None else TRUE
        said = "not reported" if delay is None else f"after {delay:.1f} s"
        rows.append(
            f'<text x="4" y="{y + 12}" font-size="12">{html.escape(kind)}</text>'
            f'<rect x="{a:.1f}" y="{y}" width="{max(b - a, 2):.1f}" height="14" fill="{colour}"/>'
            f'<text x="{a + 4:.1f}" y="{y + 11}" font-size="10" fill="#fff">{said}</text>'
        )
    picture = _svg("".join(rows), 910, 12 + step * len(rows))
    return f"<figure><figcaption>Blue: reported, red: not</figcaption>{picture}</figure>"


def _axes(top: str, first: str, last: str) -> str:
    return (
        f'<path d="M40 10V{HEIGHT - 24}H{WIDTH - 8}" fill="none" stroke="#888"/>'
        f'<text x="36" y="18" font-size="11" text-anchor="end">{top}</text>'
        f'<text x="36" y="{HEIGHT - 22}" font-size="11" text-anchor="end">0</text>'
        f'<text x="40" y="{HEIGHT - 8}" font-size="11">{first}</text>'
        f'<text x="{WIDTH - 8}" y="{HEIGHT - 8}" font-size="11" text-anchor="end">{last}</text>'
    )


def _svg(body: str, width: int = WIDTH, height: int = HEIGHT) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img">{body}</svg>'
    )


def _empty() -> str:
    return _svg(f'<text x="{WIDTH / 2}" y="{HEIGHT / 2}" text-anchor="middle">nothing</text>')


def _figure(value: float) -> str:
    if math.isfinite(value) and float(value).is_integer() and abs(value) >= 2:
        return f"{value:.0f}"
    return f"{value:.3f}"
