"""Our fusion beside trackers that people use, on the same detections in one run.

    python -m tools.bench_tracking [--scenes simulated kitti tud] [--data FOLDER] [--json]

- `simulated`: junction scenes of the simulator (modelled cameras and radar), in ground coordinates:
  HOTA and GOSPA against the truth, as `rsu score` computes them.
- `kitti`: 3-D lidar detections, sAMOTA, AMOTA and MOTA by the protocol of AB3DMOT, beside that
  method itself. The car that carries the lidar moves; nobody is told how.
- `tud`: walkers of TUD-Stadtmitte on the ground, CLEAR MOT within 1 m.

The data sets are not part of this project (research licences): what is not there is left out and
said so. How to install the other trackers: docs/tracking-comparison.md; those that are missing are
left out, too.
Frames per second are of one core, CPU time of the tracker alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rsu.config.fusion import FusionOptions, MotionOptions
from rsu.schema.sensing import ObjectClass
from tools.tracking import ab3dmot, kitti, simulated
from tools.tracking.baseline import SETTINGS, Ab3dmot
from tools.tracking.frames import Estimate, Frame, GroundTracker
from tools.tracking.others import OTHERS, installed
from tools.tracking.ours import Fusion
from tools.tracking.tud import RATE_HZ, Street

SCENES = ("simulated", "kitti", "tud")
OURS = "rsu fusion"
SIMULATED = (("free-flow", 11), ("saturated-junction", 12), ("night-rain", 13))
"""Scenario and seed; seeds that nothing was tuned on."""
SIMULATED_S = 30.0

# A lidar network's detections differ from a camera's: they are surer, so tracks are born likely.
# How soon a track is told, how long it lives on without a detection, and whether it is told
# meanwhile, is set by class, as it is for the method of the protocol itself. The sensor rides on a
# car: seen from there walkers move as fast as cyclists do past a pole, and swerve when it turns.
_SURE: dict[str, Any] = {"buffer_s": 0.0, "birth_probability": 0.8, "clutter_density": 1e-4}
_PASSED_BY = {ObjectClass.PEDESTRIAN: MotionOptions(first_speed_std=4.0, acceleration=2.0)}
KITTI = {
    "Car": (FusionOptions(**_SURE, coast_s=0.25), True),
    "Pedestrian": (
        FusionOptions(**_SURE, confirm_probability=0.3, coast_s=0.45, motion=_PASSED_BY), False
    ),
    "Cyclist": (FusionOptions(**_SURE, confirm_probability=0.3, coast_s=0.25), False),
}  # fmt: skip
"""By class: options, and whether only measured tracks are told."""
TUD_OPTIONS = FusionOptions(buffer_s=0.0)
Row = dict[str, Any]


class Timed:
    """A tracker, and the CPU time that it takes."""

    def __init__(self, tracker: GroundTracker) -> None:
        self._tracker = tracker
        self.seconds = 0.0
        self.frames = 0

    def step(self, frame: Frame) -> Sequence[Estimate]:
        """As the tracker's own."""
        began = time.process_time()
        told = self._tracker.step(frame)
        self.seconds += time.process_time() - began
        self.frames += 1
        return told


def on_kitti(folder: Path, progress: Callable[[str], None]) -> Iterator[Row]:
    """One row per class and tracker over all sequences."""
    for kind, (options, measured) in KITTI.items():
        makers: dict[str, Callable[[], GroundTracker]] = {
            OURS: partial(Fusion, options, measured_only=measured),
            "AB3DMOT": partial(Ab3dmot, SETTINGS[kitti.CLASSES[kind]]),
        }
        for name, maker in installed().items():
            makers[name] = partial(maker, 10.0)
        drives = kitti.sequences(folder, kind)
        for name, make in makers.items():
            progress(f"KITTI {kind}: {name}")
            timed = [Timed(make()) for _ in drives]
            result = ab3dmot.evaluate(
                [drive.moments(one) for drive, one in zip(drives, timed, strict=True)]
            )
            yield {
                "scene": f"KITTI {kind}", "tracker": name, "sAMOTA": 100 * result.samota,
                "AMOTA": 100 * result.amota, "MOTA": 100 * result.mota,
                "switches": result.switches, "frames/s": _rate(timed),
            }  # fmt: skip


def on_simulated(progress: Callable[[str], None]) -> Iterator[Row]:
    """One row per scenario and tracker."""
    for scenario, seed in SIMULATED:
        with TemporaryDirectory() as folder:
            recording = Path(folder) / "scene.mcap"
            progress(f"simulating {scenario}, seed {seed}")
            _simulate(scenario, seed, recording)
            rate_hz = simulated.rate_of(recording)
            makers: dict[str, Callable[[], GroundTracker]] = {
                OURS: partial(Fusion, FusionOptions())
            }
            for name, maker in installed().items():
                makers[name] = partial(maker, rate_hz)
            for name, make in makers.items():
                progress(f"{scenario}: {name}")
                timed = Timed(make())
                numbers = simulated.judged(recording, timed)
                yield {
                    "scene": f"{scenario} {seed}", "tracker": name,
                    "HOTA": 100 * (numbers["hota"] or 0.0), "GOSPA m": numbers["gospa_m.mean"],
                    "MOTA": 100 * (numbers["mota"] or 0.0), "switches": numbers["id_switches"],
                    "frames/s": _rate([timed]),
                }  # fmt: skip


def on_tud(folder: Path, progress: Callable[[str], None]) -> Iterator[Row]:
    """One row per tracker."""
    street = Street(folder)
    makers: dict[str, Callable[[], GroundTracker]] = {
        OURS: partial(Fusion, TUD_OPTIONS),
        "AB3DMOT": partial(Ab3dmot, SETTINGS[ObjectClass.PEDESTRIAN]),
    }
    for name, maker in installed().items():
        makers[name] = partial(maker, RATE_HZ)
    for name, make in makers.items():
        progress(f"TUD: {name}")
        timed = Timed(make())
        numbers = street.judged(timed)
        yield {
            "scene": "TUD-Stadtmitte", "tracker": name, "MOTA": 100 * numbers["mota"],
            "switches": numbers["switches"], "recall": 100 * numbers["recall"],
            "precision": 100 * numbers["precision"], "error m": numbers["error_m"],
            "frames/s": _rate([timed]),
        }  # fmt: skip


def _simulate(scenario: str, seed: int, recording: Path) -> None:
    from rsu.cli.main import run_command

    code = run_command(
        ["sim", "--scenario", scenario, "--seed", str(seed), "--duration", str(SIMULATED_S),
         "--cameras", "modelled", "--out", str(recording), "--json"]
    )  # fmt: skip
    if code:
        raise SystemExit(f"rsu sim --scenario {scenario} failed with exit code {code}")


def _rate(timed: Sequence[Timed]) -> float:
    return sum(one.frames for one in timed) / max(sum(one.seconds for one in timed), 1e-9)


def _table(rows: Sequence[Row]) -> str:
    """One block per scene, our rows first, columns aligned."""
    lines: list[str] = []
    scene = None
    for row in rows:
        keys = [key for key in row if key not in ("scene", "tracker")]
        if row["scene"] != scene:
            scene = row["scene"]
            lines += ["", f"{scene:<26}" + "".join(f"{key:>11}" for key in keys)]
        values = "".join(f"{_text(row[key]):>11}" for key in keys)
        lines.append(f"  {row['tracker']:<24}{values}")
    return "\n".join(lines)


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if isinstance(value, int) or value >= 1000 else f"{value:.2f}"


def main() -> None:
    """Run what is asked for and can be run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenes", nargs="+", choices=SCENES, default=list(SCENES))
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data/tracking"),
        help="folder with kitti/ and tud/ (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    def progress(text: str) -> None:
        if sys.stderr.isatty():
            print(f"\r\x1b[K{text} …", end="", file=sys.stderr, flush=True)

    rows: list[Row] = []
    left_out = [f"{name}: not installed" for name in OTHERS if name not in installed()]
    if "simulated" in arguments.scenes:
        rows += on_simulated(progress)
    for name, folder, run in (
        ("kitti", arguments.data / "kitti", on_kitti),
        ("tud", arguments.data / "tud" / "TUD-Stadtmitte", on_tud),
    ):
        if name not in arguments.scenes:
            continue
        if folder.is_dir():
            rows += run(folder, progress)
        else:
            left_out.append(f"{name}: no folder {folder} (--data)")
    progress("")
    if arguments.json:
        print(json.dumps({"rows": rows, "left_out": left_out}, indent=1))
        return
    print(_table(rows).strip("\n"))
    for line in left_out:
        print(f"left out: {line}")


if __name__ == "__main__":
    main()
