"""`rsu demo`: the main job on the embedded default, with no hardware, network or download.

A small simulated junction hands over modelled detections; the same core as everywhere else fuses
them, says V2X messages and counts traffic; a live page shows objects, messages, ages and drops.
"""

from __future__ import annotations

import contextlib
import json
import math
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

import click

from rsu.schema.health import Verdict
from rsu.schema.message import Message
from rsu.schema.topics import CAMERA_DETECTIONS, DECISION, TRACKS, V2X_TX
from rsu.schema.units import NS_PER_S

if TYPE_CHECKING:
    from rich.console import RenderableType

    from rsu.runtime.lockstep import TimedMessage
    from rsu.schema.tracks import TrackList
    from rsu.schema.v2x import V2xFrame
    from rsu.sim.source import Cameras

SETTING_UP_NS = 500_000_000
"""Building the core and running the world until its road is full took 0.2 s; the rest is room."""
OF_ROAD_USERS = ("RSM", "SSM", "sae/SDSM", "sae/PSM")
"""Messages that the page is about: their age is shown, and the newest of them."""
SLOW_MS = 400.0
"""A median age above this is a machine that falls behind: cameras take 45 ms, fusion some more."""
WINDOW_S = 5.0
"""Rates and ages on the page are over this long: steady to read, quick to follow."""


class DemoTally:
    """What the page shows: newest objects and message, rates and ages of the last seconds."""

    def __init__(self) -> None:
        self.objects: TrackList | None = None
        self.frame: V2xFrame | None = None
        self.totals: Counter[str] = Counter()
        self.drops: Counter[str] = Counter()
        self.seen: set[int] = set()
        self._recent: deque[tuple[float, str, float]] = deque()

    def take(self, message: Message) -> None:
        """Take one message of the run."""
        if message.topic == TRACKS:
            self.objects = message.payload
            self.seen.update(track.id for track in message.payload.tracks)
        elif message.topic == V2X_TX:
            name = message.payload.name
            if name in OF_ROAD_USERS or self.frame is None:
                self.frame = message.payload
            age_s = (time.time_ns() - message.payload.time_ns) / NS_PER_S
            self._count(name, age_s)
        elif message.topic == CAMERA_DETECTIONS:
            self._count("camera frames", 0.0)
            for reason, count in message.payload.rejected.items():
                self.drops[reason] += count
        elif message.topic == DECISION and message.payload.verdict is not Verdict.SENT:
            self.drops[message.payload.reason] += message.payload.count

    def rates(self) -> dict[str, float]:
        """Messages per second by name, over the last seconds."""
        self._forget()
        counts = Counter(name for _, name, _ in self._recent)
        span = max(1.0, min(WINDOW_S, time.monotonic() - self._recent[0][0]) if self._recent else 1)
        return {name: count / span for name, count in sorted(counts.items())}

    def age(self, quantile: float) -> float:
        """Quantile of the age of road users when told, over the last seconds, s."""
        from rsu.runtime.metrics import quantile_of

        self._forget()
        ages = (age for _, name, age in self._recent if name in OF_ROAD_USERS)
        return quantile_of(ages, quantile)

    def summary(self) -> dict[str, Any]:
        """One line of plain data."""
        objects = self.objects.tracks if self.objects else ()
        return {
            "objects": len(objects),
            "objects_so_far": len(self.seen),
            "messages_per_second": {k: round(v, 1) for k, v in self.rates().items()},
            "messages": dict(sorted(self.totals.items())),
            "age_p50_ms": round(self.age(0.5) * 1000, 1),
            "age_p99_ms": round(self.age(0.99) * 1000, 1),
            "drops": dict(sorted(self.drops.items())),
        }

    def _count(self, name: str, age_s: float) -> None:
        self.totals[name] += 1
        self._recent.append((time.monotonic(), name, age_s))

    def _forget(self) -> None:
        horizon = time.monotonic() - WINDOW_S
        while self._recent and self._recent[0][0] < horizon:
            self._recent.popleft()


@click.command(epilog="Example: rsu demo --duration 30 --headless --json")
@click.option("--duration", type=click.FloatRange(min=0.5), help="Stop after this many seconds.")
@click.option("--headless", is_flag=True, help="A line per second instead of the live page.")
@click.option("--json", "as_json", is_flag=True, help="Those lines as JSON objects.")
@click.option(
    "--web/--no-web", default=None,
    help="Also on a page in the browser; default: when the live page is shown.",
)  # fmt: skip
@click.option(
    "--cameras", type=click.Choice(["configured", "modelled", "rendered"]), default="configured",
    show_default=True, help="modelled: without pixels, for slow machines.",
)  # fmt: skip
@click.option("--seed", default=1, show_default=True, help="The same seed, the same traffic.")
@click.option(
    "--site", "site_path", type=click.Path(path_type=Path), help="Another site with a simulation."
)
def demo(
    duration: float | None,
    headless: bool,
    as_json: bool,
    web: bool | None,
    cameras: Cameras,
    seed: int,
    site_path: Path | None,
) -> int:
    """Watch a simulated junction: rendered cameras through ONNX, a radar on CAN, a signal
    controller by UDP, through fusion into V2X messages. Ctrl-C stops it."""
    from rsu.cli.site_file import usable_site
    from rsu.runtime import graph
    from rsu.runtime.clock import system_now
    from rsu.runtime.lockstep import LockStepHost, virtual_boot
    from rsu.sim.source import open_eyes, simulated_messages

    path = site_path or example_site("junction.yaml")
    config = usable_site(path)
    if config.simulation is None:
        raise click.UsageError(f"{path} has no `simulation` section")
    stopping: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        stopping.append(number)

    previous = {n: signal.signal(n, stop) for n in (signal.SIGINT, signal.SIGTERM)}
    tally = DemoTally()
    live = not (headless or as_json) and sys.stdout.isatty()
    shown = live if web is None else web
    build = graph.core_builder(config, path.parent)
    try:
        build(virtual_boot(0))  # imports and compiles everything before time starts to count
        if live:
            click.echo("painting the junction, loading the detector …")
        eyes = open_eyes(config, path.parent, seed, cameras, previews=shown)
        with contextlib.ExitStack() as opened:
            take: Callable[[Message], None] = tally.take
            address = ""
            if shown:
                from rsu.web.beside import DashboardBeside

                page = opened.enter_context(DashboardBeside(config, path.parent))
                take, address = both(tally.take, page.take), page.address
                click.echo(f"dashboard: {address}", err=True)
            view: View = LivePage(config.site.title, address) if live else Lines(as_json=as_json)
            # Virtual time is the present, so ages are real ages. It begins when the world will
            # have warmed up.
            now = system_now()
            boot = virtual_boot(now.utc_ns + SETTING_UP_NS)
            host = LockStepHost([build(boot)], take, boot)
            span_ns = None if duration is None else int(duration * NS_PER_S)
            source = simulated_messages(config, path.parent, seed, boot.utc_ns, span_ns, eyes=eyes)
            opened.enter_context(view)
            host.run(
                view.watch(source, tally),
                rate=1.0,
                began_mono_ns=now.mono_ns + SETTING_UP_NS,
                stop=lambda: bool(stopping),
            )
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    farewell(tally, as_json=as_json)
    return 0


def both(
    first: Callable[[Message], None], second: Callable[[Message], None]
) -> Callable[[Message], None]:
    """A sink that gives every message to two."""

    def take(message: Message) -> None:
        first(message)
        second(message)

    return take


def example_site(name: str) -> Path:
    """An example site: from the checkout, or as installed with the package."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package.parent / "configs", package / "example_sites"):
        if (folder / name).is_file():
            return folder / name
    raise click.ClickException(f"the example site {name} is missing; reinstall rsu-runtime")


class View(Protocol):
    """How the run is shown while it passes by."""

    def __enter__(self) -> View: ...

    def __exit__(self, *error: object) -> None: ...

    def watch(self, source: Iterable[TimedMessage], tally: DemoTally) -> Iterator[TimedMessage]: ...


class Lines:
    """One line a second: for pipes, logs and scripts."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing is open."""

    def watch(self, source: Iterable[TimedMessage], tally: DemoTally) -> Iterator[TimedMessage]:
        due = time.monotonic() + 1.0
        for timed in source:
            if time.monotonic() >= due:
                due += 1.0
                click.echo(self._line(tally.summary()))
            yield timed

    def _line(self, summary: dict[str, Any]) -> str:
        if self._as_json:
            return json.dumps(summary)
        rates = "  ".join(f"{k} {v:g}/s" for k, v in summary["messages_per_second"].items())
        dropped = sum(summary["drops"].values())
        return (
            f"{summary['objects']:3d} objects  {rates}  age p50 {summary['age_p50_ms']:.0f} ms "
            f"p99 {summary['age_p99_ms']:.0f} ms  not said {dropped}"
        )


class LivePage:
    """The page on a terminal, four times a second."""

    PERIOD_S = 0.25

    def __init__(self, title: str, address: str = "") -> None:
        from rich.console import Console
        from rich.live import Live

        self._title = title or "simulated junction"
        self._address = address
        self._live = Live(console=Console(highlight=False), auto_refresh=False, screen=True)

    def __enter__(self) -> LivePage:
        self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def watch(self, source: Iterable[TimedMessage], tally: DemoTally) -> Iterator[TimedMessage]:
        due = time.monotonic()
        for timed in source:
            if time.monotonic() >= due:
                due = time.monotonic() + self.PERIOD_S
                self._live.update(demo_page(self._title, tally, self._address), refresh=True)
            yield timed


def demo_page(title: str, tally: DemoTally, address: str = "") -> RenderableType:
    """The whole page: what is on the road, what is said about it, how old it is."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    summary = tally.summary()
    head = Text.assemble(
        (f" {title} ", "reverse bold"),
        f"  {summary['objects']} objects now, {summary['objects_so_far']} so far",
        "   Ctrl-C stops",
        (f"   {address}", "cyan"),
    )
    rates = "   ".join(f"{k} {v:.1f}/s" for k, v in summary["messages_per_second"].items())
    ages = f"p50 {summary['age_p50_ms']:.0f} ms   p99 {summary['age_p99_ms']:.0f} ms"
    numbers = Table.grid(padding=(0, 2))
    numbers.add_row("messages", rates or "-")
    numbers.add_row("age, capture to message", ages)
    drops = ", ".join(f"{why} {count}" for why, count in summary["drops"].items())
    numbers.add_row("not said, by reason", drops or "-")
    return Group(head, Text(), numbers, Text(), objects_table(tally.objects), Text(), said(tally))


def objects_table(objects: TrackList | None) -> RenderableType:
    """The nearest objects with what is known and how well."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("id", "class", "east m", "north m", "±m 95 %", "km/h", "heading °", "existence"):
        table.add_column(name, justify="left" if name == "class" else "right")
    tracks = objects.tracks if objects else ()
    nearest = sorted(tracks, key=lambda t: (t.position.x**2 + t.position.y**2, t.id))
    for track in nearest[:16]:
        cov = track.position_cov
        bound = 1.96 * max(cov.xx, cov.yy) ** 0.5  # 95 % of a normal distribution
        moving = track.speed > 0.5
        table.add_row(
            str(track.id),
            f"{track.object_class} {track.class_probability:.0%}",
            f"{track.position.x:.1f}",
            f"{track.position.y:.1f}",
            f"{bound:.1f}",
            f"{track.speed * 3.6:.0f}",
            f"{(90 - math.degrees(track.heading)) % 360:.0f}" if moving else "-",
            f"{track.existence:.2f}",
        )
    if len(nearest) > 16:
        table.add_row("…", f"{len(nearest) - 16} more", *[""] * 6)
    return table


def said(tally: DemoTally) -> RenderableType:
    """The newest message, decoded: its head and its first participants."""
    from rich.text import Text

    frame = tally.frame
    if frame is None:
        return Text("nothing said yet")
    lines = [f"last {frame.name} ({len(frame.payload)} octets, AID {frame.aid})"]
    lines.append(f"  {frame.payload.hex()[:96]}…")
    lines += [f"  {line}" for line in _outline(frame.value)]
    return Text("\n".join(lines), style="dim", no_wrap=True, overflow="ellipsis")


def farewell(tally: DemoTally, *, as_json: bool) -> None:
    """What was shown, and what to try next."""
    if as_json:
        return
    summary = tally.summary()
    said = {name: n for name, n in summary["messages"].items() if name in OF_ROAD_USERS}
    counts = ", ".join(f"{count} {name}" for name, count in said.items()) or "no"
    click.echo(
        f"{summary['objects_so_far']} objects tracked, {counts} messages said, "
        f"age p50 {summary['age_p50_ms']:.0f} ms, p99 {summary['age_p99_ms']:.0f} ms"
    )
    if summary["age_p50_ms"] > SLOW_MS:
        click.echo("this machine cannot keep up: try `rsu demo --cameras modelled`", err=True)
    if tally.frame is not None:
        click.echo(f"last {tally.frame.name}, decoded: {json.dumps(tally.frame.value)[:400]}…")
        click.echo(f"decode it yourself: rsu v2x decode {tally.frame.payload.hex()[:60]}…")


def _outline(value: dict[str, Any]) -> Iterator[str]:
    # SAE puts the content under `value`, beside its messageId.
    (name, body), *_ = value.get("value", value).items()
    rest = {k: v for k, v in body.items() if not isinstance(v, list)}
    yield f"{name}: {json.dumps(rest)}"
    for items in (v for v in body.values() if isinstance(v, list)):
        for item in items[:3]:
            yield f"  {json.dumps(item)}"
        if len(items) > 3:
            yield f"  … {len(items) - 3} more"
