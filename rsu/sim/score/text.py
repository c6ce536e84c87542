"""The score for a terminal: two tables of groups, then sensors, events, statements, messages.

A `Score` goes in, text comes out; "–" stands where there was nothing to measure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rsu.sim.score.score import Score

NOTHING = "–"
TRACKING = (
    ("objects", "objects"), ("recall", "recall"), ("precision", "precis."), ("mota", "MOTA"),
    ("idf1", "IDF1"), ("hota", "HOTA"), ("hota.deta", "DetA"), ("hota.assa", "AssA"),
    ("gospa_m.mean", "GOSPA"), ("gospa_m.localisation", "local."), ("gospa_m.missed", "missed"),
    ("gospa_m.false", "false"), ("id_switches", "switches"), ("fragmentations", "fragm."),
)  # fmt: skip
ERRORS = (
    ("position_m.mean", "position m"), ("position_m.p95", "95 %"), ("speed_mps.mean", "speed m/s"),
    ("speed_mps.p95", "95 %"), ("heading_deg.mean", "heading °"), ("heading_deg.p95", "95 %"),
    ("nees.mean", "NEES"), ("nees.band_low", "band"), ("nees.band_high", ""),
    ("nees.inside_95", "inside"), ("class_accuracy", "class"),
)  # fmt: skip
Row = Sequence[str]


def as_text(score: Score) -> str:
    """Everything that a person wants to know first; `to_json` has all numbers."""
    groups = group_names(score)
    parts = [
        f"{score.title}: {score.seconds:.1f} s, {figure(score.numbers['moments'])} moments; "
        f"{score.counted}",
        _groups(score, groups, TRACKING),
        _groups(score, groups, ERRORS),
        *_sections(score),
    ]
    return "\n\n".join(parts)


def group_names(score: Score) -> dict[str, str]:
    """Prefix of every group's numbers → its name for people."""
    found = {"": "overall"}
    for name in score.numbers:
        head, _, rest = name.partition(".")
        if head in ("near", "class", "range") and rest.endswith(".objects"):
            group = rest.removesuffix(".objects")
            shown = {
                "near": group.replace("_", " to "),
                "class": group,
                "range": plain_range(group) if head == "range" else "",
            }[head]
            found[f"{head}.{group}."] = shown
    return found


def table(rows: Iterable[Row]) -> str:
    """Columns aligned: the first to the left, numbers to the right."""
    kept = list(rows)
    widths = [max(len(row[index]) for row in kept) for index in range(len(kept[0]))]
    return "\n".join(
        "  "
        + "  ".join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in kept
    )


def figure(value: float | None) -> str:
    """A number as short as it may be; counts as counts."""
    if value is None:
        return NOTHING
    if isinstance(value, int):
        return str(value)
    return f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}"


def _groups(score: Score, groups: dict[str, str], columns: Sequence[tuple[str, str]]) -> str:
    head = ["", *(title for _, title in columns)]
    rows = [
        [shown, *(figure(score.numbers.get(f"{prefix}{name}")) for name, _ in columns)]
        for prefix, shown in groups.items()
    ]
    return table([head, *rows])


def _sections(score: Score) -> Iterator[str]:
    numbers = score.numbers
    for head, columns in (
        ("sensor", ("recall", "precision", "age_ms.p50", "age_ms.p95")),
        ("event", ("count", "recall", "precision", "delay_s")),
    ):
        names = _heads(score, head)
        if names:
            rows = [
                [name, *(figure(numbers.get(f"{head}.{name}.{column}")) for column in columns)]
                for name in names
            ]
            yield table([[head, *columns], *rows])
    rows = [
        [what, *(figure(numbers.get(name)) for name in names)]
        for what, names in (
            ("lights", ("signals.accuracy",)), ("bays", ("bays.accuracy",)),
            ("events", ("events.recall",)),
        )
    ]  # fmt: skip
    rows += [
        [f"lights in {name}", figure(numbers.get(f"message.{name}.accuracy"))]
        for name in _heads(score, "message")
        if f"message.{name}.accuracy" in numbers
    ]
    yield table([["", "right"], *rows])
    traffic = _heads(score, "traffic")
    if traffic:
        yield table([
            ["traffic", ""], *([name, figure(numbers[f"traffic.{name}"])] for name in traffic)
        ])  # fmt: skip
    names = sorted({*_heads(score, "message"), *_heads(score, "age_ms")})
    if names:
        levels = ("p50", "p95", "p99")
        head_row = ["message", "Hz", "age ms: p50", "p95", "p99", "oldest evidence ms: p50", "p95",
                    "p99"]  # fmt: skip
        yield table([
            head_row,
            *(
                [name, figure(numbers.get(f"message.{name}.rate_hz")),
                 *(figure(numbers.get(f"{kind}.{name}.{level}"))
                   for kind in ("age_ms", "evidence_age_ms") for level in levels)]
                for name in names
            ),
        ])  # fmt: skip


def _heads(score: Score, head: str) -> list[str]:
    """Names X of all `head.X.…`; X may hold a dash or a slash, not a dot."""
    return sorted({name.split(".")[1] for name in score.numbers if name.startswith(f"{head}.")})


def plain_range(group: str) -> str:
    """`000-020m` → `0 to 20 m`."""
    low, high = group.removesuffix("m").split("-")
    return f"{int(low)} to {int(high)} m"
