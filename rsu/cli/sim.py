"""`rsu sim`: a simulated site through the whole pipeline, with truth, in lock-step and headless."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

import rsu
from rsu.schema.message import Message
from rsu.schema.units import NS_PER_S

if TYPE_CHECKING:
    from rsu.config.model import SiteConfig
    from rsu.sim.scenario.expectations import Finding
    from rsu.sim.scenario.model import Scenario
    from rsu.sim.source import Cameras

EXIT_DIFFERS = 1
DEFAULT_S = 60.0
DEFAULT_START = "2025-06-16T07:00:00Z"
"""Start of a run without a scenario; fixed, so that the same seed is the same run."""


@click.command(epilog="Example: rsu sim --scenario stopped-vehicle --out run.mcap")
@click.argument("site_path", metavar="[SITE]", type=click.Path(path_type=Path), required=False)
@click.option(
    "--scenario", "scenario_name", help="A scenario file, or the name of a shipped one (--list)."
)
@click.option("--list", "list_", is_flag=True, help="Name the shipped scenarios, and end.")
@click.option("--seed", type=click.IntRange(min=0), help="[default: the scenario's, else 1]")
@click.option(
    "--duration", type=click.FloatRange(min=0.1, max=86_400),
    help=f"Seconds. [default: the scenario's, else {DEFAULT_S:g}]",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help="Record the run here (.mcap).")
@click.option(
    "--cameras", type=click.Choice(["configured", "modelled", "rendered"]), default="configured",
    show_default=True, help="As the site file says, without pixels, or with rendered pixels.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
def sim(
    site_path: Path | None,
    scenario_name: str | None,
    list_: bool,
    seed: int | None,
    duration: float | None,
    out: Path | None,
    cameras: Cameras,
    as_json: bool,
) -> int:
    """Simulate SITE (default: the demo junction), or play a scenario at its site.

    Deterministic: the same site, scenario and seed give the same recording, byte for byte. With a
    scenario the exit code is 1 when something that it expects is not reported.
    """
    if list_:
        return _list(as_json=as_json)
    config, base, scenario, text = _what(site_path, scenario_name)
    seed = seed if seed is not None else scenario.seed if scenario else 1
    whole = scenario.duration_s if scenario else DEFAULT_S
    seconds = duration or whole
    with TemporaryDirectory() as scratch:
        file = out or (Path(scratch) / "run.mcap" if scenario else None)
        run = _Run(config, base, scenario, seed, seconds, cameras)
        run.go(file, text)
        checked: list[Finding] = []
        # Half a scenario fulfils half of it.
        if scenario is not None and file is not None and seconds >= whole:
            checked = _findings(scenario, run.start_ns, file, config, base)
    _summarise(run, checked, out, as_json=as_json)
    return 0 if all(finding.ok for finding in checked) else EXIT_DIFFERS


class _Run:
    """One run and what is counted of it."""

    def __init__(
        self,
        config: SiteConfig,
        base: Path,
        scenario: Scenario | None,
        seed: int,
        seconds: float,
        cameras: Cameras,
    ) -> None:
        from rsu.cli.replay import Tally
        from rsu.config.base import utc_ns

        self.config, self.base, self.scenario = config, base, scenario
        self.seed, self.seconds, self.cameras = seed, seconds, cameras
        self.start_ns = utc_ns(scenario.start_utc if scenario else DEFAULT_START)
        self.tally = Tally()
        self.wall_s = 0.0

    def go(self, file: Path | None, text: str) -> None:
        """Run to the end, recording into `file` where there is one."""
        from rsu.recording.writer import McapFile

        began = time.monotonic()
        if file is None:
            self._play(self.tally.take)
        else:
            metadata = self._metadata(text)
            with McapFile(file, metadata, overwrite=True) as recording:

                def keep(message: Message) -> None:
                    self.tally.take(message)
                    if message.topic.recorded:
                        recording.write(message)

                self._play(keep)
        self.wall_s = time.monotonic() - began

    def _play(self, sink: Callable[[Message], None]) -> None:
        from rsu.runtime import graph
        from rsu.runtime.lockstep import LockStepHost, virtual_boot
        from rsu.sim.outages import clock_steps
        from rsu.sim.source import Commands, overheard, simulated_messages

        commands = Commands()
        boot = virtual_boot(self.start_ns)
        groups = [
            build(boot) for build in graph.replayable_builders(self.config, self.base).values()
        ]
        host = LockStepHost(
            groups, overheard(sink, commands), boot,
            sensors=graph.sensors_of(self.config),
            clock_steps=clock_steps(self.scenario.script if self.scenario else (), self.start_ns),
        )  # fmt: skip
        source = simulated_messages(
            self.config, self.base, self.seed, self.start_ns, round(self.seconds * NS_PER_S),
            scenario=self.scenario, cameras=self.cameras, commands=commands,
        )  # fmt: skip
        with _progress(self.seconds) as advance:

            def watched() -> Iterator[tuple[int, Message]]:
                for arrival, message in source:
                    advance((arrival - self.start_ns) / NS_PER_S)
                    yield arrival, message

            host.run(watched())

    def _metadata(self, text: str) -> dict[str, str]:
        from rsu.runtime.graph import profiles_of

        return {
            "site": self.config.site.id,
            "config": text,
            "profile": ",".join(profiles_of(self.config)),
            "version": rsu.__version__,
            "scenario": self.scenario.title if self.scenario else "",
            "seed": str(self.seed),
            "start_ns": str(self.start_ns),
        }


def _what(
    site_path: Path | None, scenario_name: str | None
) -> tuple[SiteConfig, Path, Scenario | None, str]:
    """Site, its folder, the scenario, and the site file's text."""
    from rsu.cli.demo import example_site
    from rsu.config.check import checked_site

    if scenario_name is not None:
        from rsu.sim.scenario.load import find_scenario, load_scenario

        if site_path is not None:
            raise click.UsageError("a scenario names its own site: leave SITE away")
        path = find_scenario(scenario_name)
        loaded = load_scenario(path)
        site_file = path.parent / loaded.scenario.site
        return loaded.config, loaded.base, loaded.scenario, site_file.read_text(encoding="utf-8")
    path = site_path or example_site("junction.yaml")
    config = checked_site(path)
    if config.simulation is None:
        raise click.UsageError(f"{path} has no `simulation` section: nothing moves there")
    return config, path.parent, None, path.read_text(encoding="utf-8")


def _list(*, as_json: bool) -> int:
    from rsu.sim.scenario.load import find_scenario, load_scenario, scenario_names

    names = scenario_names()
    titles = {name: load_scenario(find_scenario(name)).scenario.title for name in names}
    if as_json:
        click.echo(json.dumps(titles, ensure_ascii=False))
        return 0
    width = max(map(len, names), default=0)
    for name, title in titles.items():
        click.echo(f"{name:{width}}  {title}")
    return 0


def _findings(
    scenario: Scenario, start_ns: int, file: Path, config: SiteConfig, base: Path
) -> list[Finding]:
    from rsu.recording.reader import read_messages
    from rsu.sim.scenario.expectations import findings

    def score() -> Mapping[str, Any]:
        from rsu.runtime.graph import load_map
        from rsu.sim.score import score_recording

        site_map = load_map(config, base)
        numbers: Mapping[str, Any] = score_recording(file, config, site_map).to_json()
        return numbers

    return findings(scenario, start_ns, read_messages(file), score)


def _summarise(run: _Run, checked: list[Finding], out: Path | None, *, as_json: bool) -> None:
    tally, factor = run.tally, run.seconds / run.wall_s if run.wall_s > 0 else 0.0
    if as_json:
        summary = {
            "seconds": round(run.seconds, 3),
            "wall_s": round(run.wall_s, 3),
            "real_time_factor": round(factor, 2),
            "seed": run.seed,
            "tracks": len(tally.tracks),
            "v2x_frames": dict(sorted(tally.v2x.items())),
            "v2x_sha256": tally.digest.hexdigest(),
            "expectations": [
                {
                    "wanted": one.wanted, "found": one.found, "ok": one.ok,
                    "fulfilled": one.fulfilled, "later": one.later,
                }
                for one in checked
            ],
            "out": str(out) if out else None,
        }  # fmt: skip
        click.echo(json.dumps(summary, ensure_ascii=False))
        return
    frames = ", ".join(f"{count} {name}" for name, count in sorted(tally.v2x.items())) or "none"
    title = run.scenario.title if run.scenario else run.config.site.title or run.config.site.id
    click.echo(
        f"{title}, seed {run.seed}: {run.seconds:g} s in {run.wall_s:.1f} s "
        f"(×{factor:.1f} real time)\n"
        f"  tracks      {len(tally.tracks)}\n"
        f"  V2X frames  {frames}\n"
        f"  V2X sha256  {tally.digest.hexdigest()}"
    )
    for finding in checked:
        click.echo(f"  {finding}")
    if out is not None:
        click.echo(f"  recorded in {out}   (rsu score {out})")


@contextmanager
def _progress(seconds: float) -> Iterator[Callable[[float], None]]:
    """A bar over simulated time, on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _second: None
        return
    columns = (
        TextColumn("simulated {task.completed:.0f} of {task.total:.0f} s"), BarColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("sim", total=seconds)
        yield lambda second: progress.update(task, completed=second)
