"""`rsu status` and `rsu explain`: how the unit is, and why something was (not) said."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.table import Table

    from rsu.schema.health import Decision

EXIT_DIFFERS = 1


class UnitUnreachableError(click.ClickException):
    """No running unit answered on its socket."""

    exit_code = 3


@click.command(epilog="Example: rsu status configs/parking-aisle.yaml")
@click.argument("site", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
def status(site: Path, as_json: bool) -> int:
    """How the unit of SITE is right now: processes, sensors, messages, ages, drops."""
    answer = _ask(site, "status")
    if as_json:
        click.echo(json.dumps(answer, ensure_ascii=False))
    else:
        print_status(answer)
    return 0


@click.command(
    epilog="Examples: rsu explain configs/junction.yaml message:RSM    |    "
    "rsu explain out.mcap track:17"
)
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("subject", default="")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
@click.option("--last", default=50, show_default=True, help="Show at most this many lines.")
def explain(source: Path, subject: str, as_json: bool, last: int) -> int:
    """Why was something (not) said about SUBJECT (track:ID, message:NAME, sensor:ID)?

    SOURCE is a recording (.mcap or folder), or a site file whose unit is running. Without SUBJECT
    every decision is listed.
    """
    decisions: Iterable[Decision]
    if source.suffix == ".mcap" or source.is_dir():
        from rsu.runtime.explain import decisions_about

        decisions = decisions_about(source, subject)
    else:
        import msgspec

        from rsu.schema.health import Decision as DecisionType

        answer = _ask(source, "decisions", subject)
        decisions = msgspec.convert(answer["decisions"], list[DecisionType])
    shown = list(decisions)[-last:]
    if not shown:
        click.echo(
            f"nothing is known about {subject or 'anything'}: no decision was traced", err=True
        )
        return EXIT_DIFFERS
    for decision in shown:
        click.echo(_json_line(decision) if as_json else _text_line(decision))
    return 0


def print_status(answer: dict[str, Any]) -> None:
    """The overview as a page of text."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = PIPED_WIDTH
    unit = answer.get("unit") or {}
    verdict = "[green]ready[/green]" if answer.get("ready") else "[red]not ready[/red]"
    console.print(
        f"[bold]{answer['site']}[/bold]  {verdict}  up {_duration(answer['uptime_s'])}  "
        f"clock {unit.get('clock', '?')}{_clock_source(unit)}  "
        f"capability {unit.get('capability', '?')}"
    )
    for reason in answer.get("reasons", []):
        console.print(f"  [red]✘[/red] {reason}")
    for reason in answer.get("degraded", []):
        if not reason.startswith("alarm "):  # told in full below
            console.print(f"  [yellow]![/yellow] {reason}")
    for alarm in unit.get("alarms", []):
        console.print(
            f"[red]{alarm['kind']}[/red]: {alarm['sensor']} and {alarm['against']} contradict each "
            f"other ({alarm['suspect'] or 'either'} may be wrong)"
        )
    console.print()
    processes = _table("process", "state", "pid", "restarts", "memory", "problem")
    for process in unit.get("processes", []):
        processes.add_row(
            process["name"], _marked(process["state"], "running"), str(process["pid"] or "-"),
            str(process["restarts"]), _memory(answer, process["name"]),
            answer["errors"].get(process["name"], ""),
        )  # fmt: skip
    sensors = _table("sensor", "state", "for", "received", "dropped", "detail")
    for name, sensor in answer["sensors"].items():
        dropped = ", ".join(f"{why} {n}" for why, n in sensor.get("dropped", {}).items())
        lasts = (unit.get("time_ns", 0) - sensor["since_ns"]) / 1e9 if "since_ns" in sensor else 0.0
        sensors.add_row(
            name, _marked(sensor["state"], "live"), _duration(max(0.0, lasts)),
            str(sensor.get("received", 0)), dropped or "-", sensor.get("detail", ""),
        )  # fmt: skip
    for table in (processes, sensors, _numbers(answer["metrics"])):
        console.print(table)
        console.print()
    made = ", ".join(f"{count} {name}" for name, count in answer["frames"].items()) or "none"
    console.print(f"V2X frames made since the start: {made}")


def _numbers(metrics: dict[str, list[dict[str, Any]]]) -> Table:
    """What people look for, one line a number: medians and 99th percentiles side by side."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for process, samples in metrics.items():
        for sample in samples:
            name, value = sample["name"], sample["value"]
            if name not in SHOWN or not value:
                continue
            labels = dict(sample.get("labels", {}))
            quantile = labels.pop("quantile", None)
            of = " ".join(f"{key}={label}" for key, label in labels.items())
            text = f"{value * 1000:.1f} ms" if name in SECONDS else f"{value:g}"
            if quantile is not None:
                text = f"{'median' if quantile == '0.5' else 'p' + quantile[2:]} {text}"
            rows.setdefault((process, name, of), []).append(text)
    table = _table("process", "number", "of", "value")
    for (process, name, of), texts in rows.items():
        table.add_row(process, name, of, "  ".join(texts))
    return table


def _marked(state: str, good: str) -> str:
    return state if state == good else f"[red]{state}[/red]"


def _memory(answer: dict[str, Any], process: str) -> str:
    for sample in answer["metrics"].get(process, ()):
        if sample["name"] == "resident_bytes":
            return f"{sample['value'] / 1e6:.0f} MB"
    return "-"


def _clock_source(unit: dict[str, Any]) -> str:
    source = unit.get("clock_source")
    if not source:
        return ""
    off, within = abs(source["offset"]) * 1000, source["uncertainty"] * 1000
    return f" by {source['reference']} ({off:.3f} ± {within:.1f} ms)"


def _duration(seconds: float) -> str:
    """Two units at most: 42 s, 3 min 5 s, 7 h 12 min, 3 d 4 h."""
    whole = int(seconds)
    steps = ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))
    for size, unit, smaller, name in steps:
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller} {name}"
    return f"{whole} s"


def _table(*columns: str) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, no_wrap=True, justify="right" if column == "value" else "left")
    return table


PIPED_WIDTH = 160
SECONDS = {"age_seconds", "evidence_age_seconds", "detect_seconds", "stage_seconds"}
SHOWN = SECONDS | {
    "bus_dropped_total", "bus_lost_total", "radio_frames_total", "radio_dropped_total",
    "uplink_queued", "uplink_delivered_total", "uplink_dropped_total", "tracks",
    "recording_dropped_total", "frames_shed_total", "log_suppressed_total",
}  # fmt: skip


def _ask(site: Path, ask: str, subject: str = "") -> dict[str, Any]:
    from rsu.config.load import load_site
    from rsu.runtime.status import Request, ask_unit
    from rsu.runtime.supervisor import run_folder_for

    config = load_site(site)
    try:
        return ask_unit(run_folder_for(config.runtime, config.site.id), Request(ask, subject))
    except ConnectionError as error:
        raise UnitUnreachableError(str(error)) from error


def _text_line(decision: Decision) -> str:
    from rsu.runtime.explain import REASONS

    when = _clock_text(decision.time_ns)
    times = f" ×{decision.count}" if decision.count > 1 else ""
    why = REASONS.get(decision.reason, "")
    detail = f" ({decision.detail})" if decision.detail else ""
    return (
        f"{when}  {decision.subject:<16} {decision.verdict:<9} {decision.reason}{times}{detail}"
        f"{'  — ' + why if why else ''}"
    )


def _json_line(decision: Decision) -> str:
    import msgspec

    return msgspec.json.encode(decision).decode()


def _clock_text(time_ns: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(time_ns / 1e9, UTC).strftime("%H:%M:%S.%f")[:-3]
