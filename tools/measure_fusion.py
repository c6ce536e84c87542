"""How right fusion is and how well it knows it: many short runs, numbers over all of them.

    python tools/measure_fusion.py --seeds 101-116 [--duration 15] [--cameras modelled|rendered]

In: seeds of the example junction. Out: mean and standard error over the runs of recall, position
error and NEES (2 is exact for positions). The runs are the samples, not the moments within one:
each draws how much its cameras hang off their calibration anew, and that error lasts all run long.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

SITE = Path(__file__).resolve().parents[1] / "configs" / "junction.yaml"
ROWS = (
    ("vehicles within 60 m", "near.vehicles_60m"),
    ("vulnerable within 40 m", "near.vru_40m"),
    ("all", ""),
)
NUMBERS = (
    "recall",
    "precision",
    "position_m.mean",
    "speed_mps.mean",
    "nees.mean",
    "nees.inside_95",
)
BETTER_HIGH = ("recall", "precision", "nees.inside_95")


def score(seed: int, duration_s: float, cameras: str, folder: Path) -> dict[str, float | None]:
    """The numbers of one run, by name (`rsu score --json`)."""
    recording = folder / "run.mcap"
    rsu = [sys.executable, "-m", "rsu.cli"]
    run = [
        *rsu, "sim", str(SITE), "--seed", str(seed), "--duration", str(duration_s),
        "--cameras", cameras, "--out", str(recording),
    ]  # fmt: skip
    subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
    judged = subprocess.run([*rsu, "score", str(recording), "--json"], check=True,
                            stdout=subprocess.PIPE)  # fmt: skip
    recording.unlink()
    numbers: dict[str, float | None] = json.loads(judged.stdout)
    return numbers


def seeds_of(text: str) -> list[int]:
    """`3,7` and `11-15`, in any mixture."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def main() -> None:
    """Play, score and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=seeds_of, default=seeds_of("101-116"))
    parser.add_argument("--duration", type=float, default=15.0, help="seconds of each run")
    parser.add_argument("--cameras", choices=("modelled", "rendered"), default="modelled")
    arguments = parser.parse_args()
    runs = []
    with TemporaryDirectory() as folder:
        for number, seed in enumerate(arguments.seeds, 1):
            print(f"run {number} of {len(arguments.seeds)} (seed {seed}) …", file=sys.stderr)
            runs.append(score(seed, arguments.duration, arguments.cameras, Path(folder)))
    print(f"{len(runs)} runs of {arguments.duration:g} s, {arguments.cameras} cameras: mean ± s.e.")
    for title, prefix in ROWS:
        print(title)
        for name in NUMBERS:
            key = f"{prefix}.{name}".lstrip(".")
            values = np.array([run[key] for run in runs if run.get(key) is not None])
            if not len(values):
                continue
            error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
            worst = min(values) if name in BETTER_HIGH else max(values)
            print(f"  {name:16s} {values.mean():7.3f} ± {error:.3f}   worst run {worst:.3f}")


if __name__ == "__main__":
    main()
