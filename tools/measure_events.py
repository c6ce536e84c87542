"""Road events against the truth: plays scenarios with several seeds and prints what was reported.

    python tools/measure_events.py --seeds 11-15 [--scenarios wrong-way,debris] [--keep DIR]

In: scenario names and seeds. Out: precision, recall and delay by kind and over all. The delay is
counted from the moment that an event is both true and in view: a sensor finds one of those in it
more often than not, by its own model (size in the image, what hides it: `Coverage.finds`), for as
long as the kind's definition takes. Who is earlier has no delay. What never comes into view is not
asked for. `since start` is from the moment that it is true; what was true before the unit began
counts from then. Cameras are modelled. With `--keep` what the situation stage hears is kept in a
folder and used again: changes behind fusion are then measured in seconds.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from rsu.config.base import utc_ns
from rsu.fusion.stage import FusionStage
from rsu.recording.reader import read_messages
from rsu.recording.writer import McapFile
from rsu.runtime.graph import load_map, sensors_of, viewpoints
from rsu.runtime.lockstep import LockStepHost, virtual_boot
from rsu.runtime.stage import StageGroup
from rsu.schema.events import EventPhase, RoadEvent
from rsu.schema.message import Message
from rsu.schema.reports import Truth
from rsu.schema.topics import (
    ENVIRONMENT,
    ROAD_EVENT,
    SENSOR_HEALTH,
    SIGNAL_REQUEST,
    SIGNAL_STATE,
    TRACKS,
    TRUTH,
    V2X_OBJECTS,
)
from rsu.schema.units import NS_PER_S, Instant
from rsu.sim.scenario.load import (
    LoadedScenario,
    find_scenario,
    load_scenario,
    scenario_names,
)
from rsu.sim.score.coverage import Coverage
from rsu.sim.score.distribution import Distribution
from rsu.sim.score.happenings import Happenings
from rsu.sim.score.moments import scene_of
from rsu.sim.source import simulated_messages
from rsu.situation.events.part import Events
from rsu.situation.picture import Picture
from rsu.situation.stage import SituationStage

HEARD = (TRACKS, SIGNAL_STATE, SENSOR_HEALTH, ENVIRONMENT, SIGNAL_REQUEST, V2X_OBJECTS)
"""What is kept; more than events need today."""
ELSEWHERE = frozenset({"conflict", "priority-granted"})
"""Kinds that other parts report."""


SETTLING_NS = 60 * NS_PER_S
"""What was true before the unit began and ends within a minute is not asked for."""
DUE_S = {"congestion": 30.0}
"""How late an event may be told; 2 s else. What, or whose run, is over by then is not missed."""
DEFINED_OVER_S = {"slow-vehicle": 5.0, "illegal-parking": 60.0}
"""What is true of somebody over a time is in view once he has been in view for that time."""


class Tally:
    """Outcomes of many runs, by kind."""

    def __init__(self) -> None:
        self.found: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
        self.missed: defaultdict[str, list[str]] = defaultdict(list)
        self.false: defaultdict[str, list[str]] = defaultdict(list)
        self.simulated_s = 0.0
        self.spent_s = 0.0
        self.spent_by_part_s = 0.0

    def add(
        self, run: str, began_ns: int, end_ns: int, happenings: Happenings, view: _InView
    ) -> None:
        """One run, and since when its true events were in view."""
        outcomes, false = happenings.outcomes()
        for one in outcomes:
            if one.kind in ELSEWHERE or one.start_ns < began_ns > one.end_ns - SETTLING_NS:
                continue
            start_ns = max(one.start_ns, began_ns)
            seen_ns = max(start_ns, view.since_ns(one.id, end_ns))
            if one.told_ns is not None:
                self.found[one.kind].append(
                    (max(one.told_ns - seen_ns, 0) / NS_PER_S, (one.told_ns - start_ns) / NS_PER_S)
                )
            elif seen_ns + DUE_S.get(one.kind, 2.0) * NS_PER_S <= min(end_ns, one.end_ns):
                at = (start_ns - began_ns) / NS_PER_S
                lasts = (one.end_ns - start_ns) / NS_PER_S
                self.missed[one.kind].append(f"{run} at {at:.1f} s for {lasts:.1f} s")
        for report in false:
            if report.kind not in ELSEWHERE:
                at = (report.told_ns - began_ns) / NS_PER_S
                self.false[report.kind].append(f"{run} at {at:.1f} s")

    def show(self) -> None:
        """The table."""
        kinds = sorted({*self.found, *self.missed, *self.false})
        print(f"{'kind':28}{'true':>5}{'found':>6}{'false':>6}{'prec.':>7}{'recall':>7}"
              f"{'delay s':>9}{'worst':>7}{'since start':>13}")  # fmt: skip
        for kind in [*kinds, "all"]:
            some = kinds if kind == "all" else [kind]
            found = [pair for one in some for pair in self.found[one]]
            missed = sum(len(self.missed[one]) for one in some)
            false = sum(len(self.false[one]) for one in some)
            delay, since = Distribution([a for a, _ in found]), Distribution([b for _, b in found])
            print(
                f"{kind:28}{len(found) + missed:5}{len(found):6}{false:6}"
                f"{_share(len(found), len(found) + false):>7}"
                f"{_share(len(found), len(found) + missed):>7}{_seconds(delay.mean):>9}"
                f"{_seconds(max((a for a, _ in found), default=None)):>7}"
                f"{_seconds(since.mean):>13}"
            )
        for title, table in (("missed", self.missed), ("false", self.false)):
            for kind in kinds:
                for line in table[kind]:
                    print(f"  {title} {kind}: {line}")
        whole, part = (
            1000 * one / max(self.simulated_s, 1e-9) for one in (self.spent_s, self.spent_by_part_s)
        )
        print(f"{part:.2f} ms per simulated second, {whole:.2f} with the picture all parts share")


def heard(name: str, seed: int, file: Path, loaded: LoadedScenario, most_s: float) -> None:
    """Play a scenario up to fusion and keep what the situation stage hears, and the truth."""
    start_ns = utc_ns(loaded.scenario.start_utc)
    boot = virtual_boot(start_ns)
    wanted = {*HEARD, TRUTH}
    fusion = FusionStage(
        loaded.config.fusion, boot, viewpoints(loaded.config), load_map(loaded.config, loaded.base)
    )
    part = file.with_suffix(".part")
    with McapFile(part, {"scenario": name, "seed": str(seed)}, overwrite=True) as recording:

        def keep(message: Message) -> None:
            if message.topic in wanted:
                recording.write(message)

        host = LockStepHost(
            [StageGroup("fusion", [fusion], boot)], keep, boot,
            sensors=sensors_of(loaded.config), journaled=(),
        )  # fmt: skip
        host.run(
            simulated_messages(
                loaded.config, loaded.base, seed, start_ns,
                round(min(loaded.scenario.duration_s, most_s) * NS_PER_S),
                scenario=loaded.scenario, cameras="modelled",
            )
        )  # fmt: skip
    part.rename(file)


def measure(
    name: str, seed: int, folder: Path, tally: Tally, most_s: float, *, verbose: bool
) -> None:
    """Add one run to the tally."""
    loaded = load_scenario(find_scenario(name))
    file = folder / f"{name}-{seed}.mcap"
    if not file.exists():
        heard(name, seed, file, loaded, most_s)
    start_ns = utc_ns(loaded.scenario.start_utc)
    boot = virtual_boot(start_ns)
    site = load_map(loaded.config, loaded.base)
    part = _TimedEvents(loaded.config.situation.events, site, boot)
    stage = SituationStage([part], site)
    group = StageGroup("situation", [stage], boot)
    in_view = _InView(Coverage(loaded.config, seed))
    happenings = Happenings()
    end_ns = start_ns
    lines: list[str] = []

    def take(message: Message) -> None:
        nonlocal end_ns
        if message.topic == TRUTH:
            truth: Truth = message.payload
            end_ns = truth.time_ns
            happenings.truth(truth)
            in_view.take(truth)
        elif message.topic == ROAD_EVENT:
            event: RoadEvent = message.payload
            happenings.report(event, message.header.publish_ns)
            if event.phase is not EventPhase.UPDATE:
                at = (message.header.publish_ns - start_ns) / NS_PER_S
                lines.append(
                    f"    {at:7.1f} {event.phase:6} {event.id % 1000:3} {event.kind:26}"
                    f" {','.join(event.lanes):16} ({event.position.x:.0f}, {event.position.y:.0f})"
                    f" {event.confidence:.2f} tracks {event.tracks[:4]} {event.description}"
                )

    def replayed() -> Iterator[tuple[int, Message]]:
        for message in read_messages(file):
            yield message.header.publish_ns, message

    spent = _Spent(group)
    LockStepHost([spent], take, boot, journaled=()).run(replayed())
    tally.simulated_s += min(loaded.scenario.duration_s, most_s)
    tally.spent_s += spent.seconds
    tally.spent_by_part_s += part.seconds
    tally.add(f"{name} {seed}", start_ns, end_ns, happenings, in_view)
    if verbose:
        print(f"{name} {seed}")
        for one in happenings.outcomes()[0]:
            begin, end = (one.start_ns - start_ns) / NS_PER_S, (one.end_ns - start_ns) / NS_PER_S
            print(f"    {begin:7.1f} .. {end:7.1f} true {one.kind}")
        print("\n".join(lines))


class _TimedEvents(Events):
    """The part, with the processor time that it takes by itself."""

    seconds = 0.0

    def follow(self, picture: Picture, now: Instant) -> Iterable[Message]:
        began = time.process_time()
        out = super().follow(picture, now)
        self.seconds += time.process_time() - began
        return out


class _Spent(StageGroup):
    """A group whose processor time is taken."""

    def __init__(self, group: StageGroup) -> None:
        self.__dict__.update(group.__dict__)
        self.seconds = 0.0

    def handle(self, message: Message, now: object) -> list[Message]:  # type: ignore[override]
        began = time.process_time()
        out = super().handle(message, now)  # type: ignore[arg-type]
        self.seconds += time.process_time() - began
        return out

    def tick(self, stage: object, now: object) -> list[Message]:  # type: ignore[override]
        began = time.process_time()
        out = super().tick(stage, now)  # type: ignore[arg-type]
        self.seconds += time.process_time() - began
        return out


class _InView:
    """Since when true events are in view of a sensor."""

    def __init__(self, coverage: Coverage) -> None:
        self._coverage = coverage
        self._found_ns: dict[int, int] = {}
        self._first_ns: dict[int, int] = {}
        self._looked_ns = 0

    def since_ns(self, event: int, never_ns: int) -> int:
        """When one came into view; `never_ns`: it did not."""
        return self._first_ns.get(event, never_ns)

    def take(self, truth: Truth) -> None:
        """Truths come in order of time."""
        now_ns = truth.time_ns
        waiting = [one for one in truth.events if one.objects and one.id not in self._first_ns]
        if waiting or now_ns - self._looked_ns >= NS_PER_S:
            self._looked_ns = now_ns
            scene = scene_of(truth, now_ns)
            finds = self._coverage.finds(scene).tolist()
            for number, found in zip(scene.ids, finds, strict=True):
                if found:
                    self._found_ns.setdefault(number, now_ns)
        for one in waiting:
            found_ns = [self._found_ns[i] for i in one.objects if i in self._found_ns]
            lasts = round(DEFINED_OVER_S.get(one.kind, 0.0) * NS_PER_S)
            if found_ns and now_ns >= min(found_ns) + lasts:
                self._first_ns[one.id] = now_ns
        for one in truth.events:
            if not one.objects:  # of the road as a whole
                self._first_ns.setdefault(one.id, one.start_ns)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.3f}" if whole else "–"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _seeds(text: str) -> list[int]:
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 1 where precision or recall is below 0.95."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenarios", default="", help="names, comma-separated [default: all]")
    parser.add_argument("--seeds", default="11-15", type=_seeds, help="first-last")
    parser.add_argument("--keep", type=Path, help="folder for what the stage hears")
    parser.add_argument("--most", type=float, default=300.0, help="s of a scenario [300]")
    parser.add_argument("--verbose", action="store_true", help="every event of every run")
    parser.add_argument("--record-only", action="store_true", help="fill the folder, no more")
    options = parser.parse_args(arguments)
    names = options.scenarios.split(",") if options.scenarios else scenario_names()
    tally = Tally()
    with TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for name in names:
            for seed in options.seeds:
                if options.record_only:
                    file = folder / f"{name}-{seed}.mcap"
                    if not file.exists():
                        heard(name, seed, file, load_scenario(find_scenario(name)), options.most)
                    continue
                measure(name, seed, folder, tally, options.most, verbose=options.verbose)
    if options.record_only:
        return 0
    tally.show()
    found = sum(map(len, tally.found.values()))
    enough = 0.95 * (found + sum(map(len, tally.missed.values())))
    return 0 if found >= enough and found >= 0.95 * (
        found + sum(map(len, tally.false.values()))
    ) else 1  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
