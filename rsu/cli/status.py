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
    console.print(
        f"[bold]{answer['site']}[/bold]  up {answer['uptime_s']:.0f} s  "
        f"clock {unit.get('clock', '?')}  capability {unit.get('capability', '?')}\n"
    )
    for alarm in unit.get("alarms", []):
        console.print(
            f"[red]{alarm['kind']}[/red]: {alarm['sensor']} and {alarm['against']} contradict each "
            f"other ({alarm['suspect'] or 'either'} may be wrong)"
        )
    processes = _table("process", "state", "pid", "restarts", "problem")
    for process in unit.get("processes", []):
        processes.add_row(
            process["name"], process["state"], str(process["pid"] or "-"),
            str(process["restarts"]), answer["errors"].get(process["name"], ""),
        )  # fmt: skip
    sensors = _table("sensor", "state", "received", "dropped", "detail")
    for name, sensor in answer["sensors"].items():
        dropped = ", ".join(f"{why} {n}" for why, n in sensor.get("dropped", {}).items())
        sensors.add_row(
            name, sensor["state"], str(sensor.get("received", 0)), dropped or "-",
            sensor.get("detail", ""),
        )  # fmt: skip
    numbers = _table("process", "number", "of", "value")
    for process, samples in answer["metrics"].items():
        for sample in samples:
            if sample["name"] in SHOWN and sample["value"]:
                labels = " ".join(f"{k}={v}" for k, v in sample.get("labels", {}).items())
                value = sample["value"]
                text = f"{value * 1000:.1f} ms" if sample["name"] in SECONDS else f"{value:g}"
                numbers.add_row(process, sample["name"], labels, text)
    for table in (processes, sensors, numbers):
        console.print(table)
        console.print()
    made = ", ".join(f"{count} {name}" for name, count in answer["frames"].items()) or "none"
    console.print(f"V2X frames made since the start: {made}")


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
    "recording_dropped_total",
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
