"""The score as one page of HTML: what matters first, then pictures, then every number.

A `Score` goes in, the page's text comes out. It stands for itself: no script, nothing fetched.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from rsu.schema.units import NS_PER_S
from rsu.sim.score import plots
from rsu.sim.score.curves import PATHS, STEP_M, Curves
from rsu.sim.score.distribution import Distribution
from rsu.sim.score.score import Score
from rsu.sim.score.text import ERRORS, TRACKING, figure, group_names, plain_range
from rsu.sim.score.tracking import CLASSES, ranges

HEADLINES = (
    ("near.vehicles_60m.recall", "vehicles to 60 m found"),
    ("near.vru_40m.recall", "vulnerable to 40 m found"), ("precision", "tracks that are true"),
    ("mota", "MOTA"), ("idf1", "IDF1"), ("hota", "HOTA"), ("gospa_m.mean", "GOSPA, m"),
    ("position_m.mean", "position error, m"), ("nees.mean", "NEES (2 is right)"),
    ("id_switches", "id switches"), ("signals.accuracy", "lights right"),
    ("bays.accuracy", "bays right"), ("events.recall", "events reported"),
)  # fmt: skip
FAR_COLUMNS = (("recall", "true"), ("precision", "said"), ("hota", "third"))
AGES_SHOWN = 6

_STYLE = """
:root{--ink:#1d2733;--soft:#5c6b7a;--line:#dde3ea;--paper:#fff;--back:#f4f6f9;
--true:#2f6fb3;--said:#e08a2c;--missed:#c23b3b;--third:#4f9d69}
@media (prefers-color-scheme:dark){:root{--ink:#e4e9ef;--soft:#9aa8b6;--line:#33404d;
--paper:#1b232c;--back:#12181f;--true:#69a5e6;--said:#f0a552;--missed:#ea6a6a;--third:#7cc795}}
body{font:15px/1.5 system-ui,sans-serif;margin:0 auto;max-width:1200px;padding:1.5rem 1rem 4rem;
color:var(--ink);background:var(--back)}
h1{font-size:1.45rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .6rem}
p{color:var(--soft);margin:.2rem 0}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:.6rem;
margin-top:1rem}
.card,figure,.table{background:var(--paper);border:1px solid var(--line);border-radius:8px}
.card{padding:.6rem .8rem}.card b{display:block;font-size:1.35rem;font-weight:600}
.card span{color:var(--soft);font-size:.8rem}
.row{display:flex;flex-wrap:wrap;gap:.8rem;align-items:flex-start}
figure{margin:0;padding:.6rem .8rem;overflow-x:auto;max-width:100%}
figcaption{font-size:.88rem;margin-bottom:.3rem}figcaption small{color:var(--soft)}
svg{max-width:100%;height:auto;display:block}
svg text{font:11px system-ui,sans-serif;fill:var(--soft)}
svg .title{font-size:12px}svg .small{font-size:10px}svg .on{fill:#fff}
.grid{stroke:var(--line);fill:none}.mark{stroke:var(--ink);fill:var(--ink);stroke-width:1.2}
.line{fill:none;stroke-width:1.6}.path{fill:none;stroke-width:1;stroke-opacity:.75}
rect.true,path.true,circle.true{fill:var(--true)}rect.said,path.said{fill:var(--said)}
rect.missed,path.missed,circle.missed{fill:var(--missed)}rect.third{fill:var(--third)}
polyline.true{stroke:var(--true)}polyline.said{stroke:var(--said)}
polyline.missed{stroke:var(--missed)}polyline.third{stroke:var(--third)}
polyline.path.true{stroke-width:2.4;stroke-opacity:.5}
b.true{color:var(--true)}b.said{color:var(--said)}b.missed{color:var(--missed)}
b.third{color:var(--third)}
.table{overflow-x:auto}table{border-collapse:collapse;font-size:.84rem;width:100%}
td,th{padding:.22rem .7rem;text-align:right;border-bottom:1px solid var(--line);
font-variant-numeric:tabular-nums;white-space:nowrap}
th{color:var(--soft);font-weight:500}td:first-child,th:first-child{text-align:left}
details{margin-top:2rem}summary{cursor:pointer}
.warn{color:var(--missed)}
"""


def page(score: Score) -> str:
    """The whole page."""
    title = html.escape(score.title)
    remarks = "".join(f'<p class="warn">{html.escape(remark)}</p>' for remark in score.remarks)
    every = [(name, figure(value)) for name, value in score.numbers.items()]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f"<p>{score.seconds:.1f} s, {score.numbers['moments']} moments of truth. What counts: "
        f"{html.escape(score.counted)}.</p>{remarks}{_cards(score)}"
        f'<h2>On the road</h2><div class="row">{_road(score)}</div>'
        f'<h2>How far off</h2><div class="row">{_errors(score)}</div>'
        f"<h2>Who and where</h2>{_table(*_groups(score, TRACKING))}<p></p>"
        f"{_table(*_groups(score, ERRORS))}"
        f"<h2>Events</h2>{_events(score)}"
        f'<h2>How old when published</h2><div class="row">{_ages(score)}</div>'
        f"<details><summary>Every number</summary>{_table(('name', ''), every)}</details>"
        "</body></html>\n"
    )


def _cards(score: Score) -> str:
    cards = "".join(
        f'<div class="card"><b>{figure(score.numbers.get(name))}</b><span>{label}</span></div>'
        for name, label in HEADLINES
    )
    return f'<div class="cards">{cards}</div>'


def _road(score: Score) -> str:
    curves = score.curves
    worst = max(curves.missed.values(), default=1)
    spots = {
        (x * STEP_M, y * STEP_M): 0.15 + 0.85 * math.sqrt(count / worst)
        for (x, y), count in curves.missed.items()
    }
    above = plots.from_above(
        [("true", list(curves.truth_paths.values())), ("said", list(curves.track_paths.values()))],
        spots, score.places,
    )  # fmt: skip
    full = max(len(curves.truth_paths), len(curves.track_paths)) >= PATHS
    note = f" <small>(the first {PATHS})</small>" if full else ""
    by_range = {name: plain_range(name) for name in ranges()}
    by_class = {str(one): str(one) for one in CLASSES}
    return "".join(
        _figure(caption, picture)
        for caption, picture in (
            ("From above: <b class=true>truth</b>, <b class=said>tracks</b>, "
             f"<b class=missed>where nobody found what was there</b>{note}", above),
            ("GOSPA over time, m: <b class=said>whole</b>, of it <b class=true>localisation</b>, "
             "<b class=missed>missed</b>, <b class=third>false</b>",
             plots.lines(_gospa(curves), "s")),
            ("Recall over time", plots.lines({"true": _recall(curves)}, "s", top=1.0)),
            (_legend("by distance"), _bars(score, "range", by_range)),
            (_legend("by class"), _bars(score, "class", by_class)),
        )
    )  # fmt: skip


def _legend(how: str) -> str:
    names = ("Recall", "precision", "HOTA")
    said = ", ".join(
        f"<b class={style}>{name}</b>" for name, (_, style) in zip(names, FAR_COLUMNS, strict=True)
    )
    return f"{said} {how}"


def _bars(score: Score, head: str, groups: Mapping[str, str]) -> str:
    return plots.bars(
        {
            shown: {
                style: score.numbers.get(f"{head}.{group}.{name}") for name, style in FAR_COLUMNS
            }
            for group, shown in groups.items()
        }
    )


def _errors(score: Score) -> str:
    return "".join(
        _figure(
            f"{title} <small>(share of matches; the last bin takes the rest)</small>",
            _histogram(score.errors[name], reach, unit),
        )
        for name, title, reach, unit in (
            ("position_m", "Position error", 3.0, "m"), ("speed_mps", "Speed error", 3.0, "m/s"),
            ("heading_deg", "Heading error of moving objects", 60.0, "degrees"),
        )
    ) + _figure(
        "NEES of position: <b class=said>found</b>, <b class=true>χ² with 2 degrees of freedom</b> "
        "<small>(left of it: cautious, right: overconfident)</small>",
        _nees(score.errors["nees"]),
    )  # fmt: skip


def _edges(reach: float, count: int = 30) -> list[float]:
    return [reach * index / count for index in range(count + 1)]


def _histogram(values: Distribution, reach: float, unit: str) -> str:
    edges = _edges(reach)
    marks = [
        (value, f"{name} {value:.2f}")
        for name, value in (("mean", values.mean),)
        if value is not None and value < reach
    ]
    return plots.histogram(values.histogram(edges), edges, unit, marks=marks)


def _nees(values: Distribution) -> str:
    edges = _edges(12.0)
    # χ² with two degrees of freedom: the share below z is 1 − exp(−z/2).
    below = [1.0 - math.exp(-edge / 2) for edge in edges]
    below[-1] = 1.0
    expected = [high - low for low, high in pairwise(below)]
    return plots.histogram(
        values.histogram(edges), edges, "squared error in units of its covariance",
        expected=expected, marks=[(5.991, "95 %")],
    )  # fmt: skip


def _gospa(curves: Curves) -> dict[str, list[plots.Point]]:
    return {
        style: [
            (float(number), second.gospa[index] / second.moments)
            for number, second in sorted(curves.seconds.items())
        ]
        for index, style in enumerate(("said", "true", "missed", "third"))
    }


def _recall(curves: Curves) -> list[plots.Point]:
    return [
        (float(number), second.found / second.objects)
        for number, second in sorted(curves.seconds.items())
        if second.objects
    ]


def _groups(
    score: Score, columns: Sequence[tuple[str, str]]
) -> tuple[Sequence[str], Sequence[Sequence[str]]]:
    rows = [
        (shown, *(figure(score.numbers.get(f"{prefix}{name}")) for name, _ in columns))
        for prefix, shown in group_names(score).items()
    ]
    return ("", *(title for _, title in columns)), rows


def _events(score: Score) -> str:
    def second(time_ns: int | None) -> float | None:
        return None if time_ns is None else (time_ns - score.first_ns) / NS_PER_S

    rows = [
        (one.kind, second(one.start_ns) or 0.0, second(one.end_ns) or 0.0, second(one.told_ns),
         True)
        for one in score.outcomes
    ] + [
        (one.kind, 0.0, 0.0, second(one.told_ns), False) for one in score.false_reports
    ]  # fmt: skip
    if not rows:
        return "<p>Nothing happened that had to be reported, and nothing was.</p>"
    return _figure(
        "<b class=true>What happened and was reported</b>, <b class=missed>what was not</b>, "
        "<b class=said>◆ when it was reported</b>, <b class=missed>◆ what did not happen</b>",
        plots.spans(rows, score.seconds),
    )


def _ages(score: Score) -> str:
    kept = sorted(score.ages.items(), key=lambda item: (-item[1].count, item[0]))[:AGES_SHOWN]
    if not kept:
        return "<p>Nothing was published.</p>"
    found = []
    for name, ages in sorted(kept):
        reach = max((ages.quantile(0.99) or 0.0) * 1.25, 10.0)
        edges = _edges(reach)
        marks = [
            (value, f"{level} %: {value:.0f}")
            for level in (50, 99)
            if (value := ages.quantile(level / 100)) is not None
        ]
        caption = f"{html.escape(name)} <small>({ages.count})</small>"
        picture = plots.histogram(ages.histogram(edges), edges, "ms", marks=marks)
        found.append(_figure(caption, picture))
    return "".join(found)


def _figure(caption: str, picture: str) -> str:
    return f"<figure><figcaption>{caption}</figcaption>{picture}</figure>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    top = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f'<div class="table"><table><tr>{top}</tr>{body}</table></div>'
