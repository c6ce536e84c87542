"""Train the detector that ships in `models/` on rendered pictures, and say how good it is.

`python -m tools.train_detector` from the repository root renders pictures (kept in the work
folder), trains (checkpoints there, too: the same command goes on where it was interrupted),
exports ONNX, checks that onnxruntime says what PyTorch says, measures accuracy on scenarios that
training never saw and the speed on one thread, and writes model and card into `--out`. `--only`
repeats single stages. Needs the extra `train`; no accelerator: a full training takes some two
hours on two free cores. docs/detector.md has the reasons and the numbers.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# Before torch is imported: its threads otherwise spin while they wait, which on a machine that has
# other work to do makes a step up to ten times slower.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

STAGES = ("render", "train", "export", "measure", "clips")

# A full training; the shipped model had less (docs/detector.md). `--quick` is the same in seconds,
# only to see that it works.
PICTURES, STEPS, SEED, EACH = 5000, 20_000, 1, 16
QUICK_PICTURES, QUICK_STEPS, QUICK_EACH, QUICK_SCENARIOS = 16, 4, 1, 2

# Thresholds of the card: NMS as for public models of this family.
SCORE, IOU = 0.35, 0.5


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run does, from the command line."""

    out: Path
    work: Path
    stages: tuple[str, ...]
    seed: int
    pictures: int
    steps: int
    each: int
    scenarios: int | None
    threads: int
    start_from: Path | None
    clips: Path | None
    note: str

    @property
    def pictures_folder(self) -> Path:
        return self.work / f"pictures-{self.seed}"

    @property
    def checkpoint(self) -> Path:
        return self.work / f"training-{self.seed}.pt"


def main() -> None:
    """Command line: run the stages in their order."""
    plan = _plan(sys.argv[1:])
    try:
        import onnx  # noqa: F401
        import torch
    except ImportError as error:
        sys.exit(f"{error.name} is missing: install the extra `train` (docs/detector.md)")
    torch.set_num_threads(plan.threads)
    plan.work.mkdir(parents=True, exist_ok=True)
    plan.out.parent.mkdir(parents=True, exist_ok=True)
    for name, stage in (("render", _render), ("train", _train), ("export", _export),
                        ("measure", _measure), ("clips", _clips)):  # fmt: skip
        if name in plan.stages:
            stage(plan)


def _plan(arguments: list[str]) -> Plan:
    parser = argparse.ArgumentParser(
        prog="python -m tools.train_detector",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=Path("models/rsu_roadside.onnx"),
                        help="the model; its card (.yaml) is written beside it")  # fmt: skip
    parser.add_argument("--work", type=Path, default=Path("var/detector"),
                        help="folder for pictures (0.7 MB each) and checkpoints")  # fmt: skip
    parser.add_argument("--only", nargs="+", choices=STAGES, default=STAGES, metavar="STAGE",
                        help=f"stages to run: {', '.join(STAGES)}; default: all")  # fmt: skip
    parser.add_argument("--seed", type=int, default=SEED, help="of pictures, weights and batches")
    parser.add_argument("--pictures", type=int, help=f"rendered pictures (default {PICTURES})")
    parser.add_argument("--steps", type=int, help=f"optimiser steps (default {STEPS})")
    parser.add_argument("--each", type=int,
                        help=f"pictures per held-out scenario (default {EACH})")  # fmt: skip
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1,
                        help="cores used (default: all)")  # fmt: skip
    parser.add_argument("--start-from", type=Path,
                        help="checkpoint whose weights are the first ones")  # fmt: skip
    parser.add_argument("--clips", type=Path,
                        help="folder of the two real clips; none: not measured")  # fmt: skip
    parser.add_argument("--note", default="", help="sentence added to the card's recipe")
    parser.add_argument("--quick", action="store_true",
                        help="a few pictures and steps: shows that all stages work")  # fmt: skip
    given = parser.parse_args(arguments)
    from tools.detector.held_out import SEED as HELD_OUT_SEED

    if given.seed == HELD_OUT_SEED:
        parser.error(f"--seed {given.seed} belongs to the held-out scenarios")
    quick = given.quick
    return Plan(
        out=given.out,
        work=given.work,
        stages=tuple(given.only),
        seed=given.seed,
        pictures=given.pictures or (QUICK_PICTURES if quick else PICTURES),
        steps=given.steps or (QUICK_STEPS if quick else STEPS),
        each=given.each or (QUICK_EACH if quick else EACH),
        scenarios=QUICK_SCENARIOS if quick else None,
        threads=max(1, given.threads),
        start_from=given.start_from,
        clips=given.clips,
        note=given.note,
    )


def _render(plan: Plan) -> None:
    from tools.detector.dataset import render_all

    with _bar("rendering", plan.pictures) as show:
        for done in render_all(plan.pictures_folder, plan.seed, plan.pictures, plan.threads):
            show(min(done, plan.pictures), "")


def _train(plan: Plan) -> None:
    import torch.multiprocessing as processes

    from tools.detector.dataset import class_counts, load_dataset

    counts = class_counts(load_dataset(plan.pictures_folder, plan.pictures))
    print("objects:", ", ".join(f"{n} {kind.value}" for kind, n in counts.items()))
    meeting = plan.work / "meeting"
    meeting.unlink(missing_ok=True)
    others = None
    if plan.threads > 1:
        others = processes.spawn(_train_beside, (plan, meeting), plan.threads - 1, join=False)
    _train_as(plan, meeting, 0)
    if others is not None:
        others.join()


def _train_beside(number: int, plan: Plan, meeting: Path) -> None:
    """What the further processes do."""
    _train_as(plan, meeting, number + 1)


def _train_as(plan: Plan, meeting: Path, rank: int) -> None:
    import torch

    from tools.detector.dataset import load_dataset
    from tools.detector.training import crew

    torch.set_num_threads(1)
    data = load_dataset(plan.pictures_folder, plan.pictures)
    label = box = None
    with crew(rank, plan.threads, meeting) as joined:
        training = _training(plan, joined)
        if training.step == 0 and plan.start_from is not None:
            training.start_from(plan.start_from)
        with _bar("training", plan.steps, shown=rank == 0) as show:
            for done in training.run(data, plan.checkpoint):
                # A running mean over some 50 steps: single batches jump.
                label = done.label_loss if label is None else 0.98 * label + 0.02 * done.label_loss
                box = done.box_loss if box is None else 0.98 * box + 0.02 * done.box_loss
                show(done.step, f"classes {label:.3f}  boxes {box:.3f}")


def _export(plan: Plan) -> None:
    import numpy as np

    from tools.detector.dataset import load_dataset
    from tools.detector.export import export, write_card

    training = _training(plan)
    if training.step == 0:
        sys.exit(f"nothing trained yet in {plan.work}: run the stage `train` first")
    data = load_dataset(plan.pictures_folder, plan.pictures)
    done = export(training.average, plan.out, np.asarray(data.images[:8]))
    fastest, usual = min(done.times_ms), statistics.median(done.times_ms)
    print(
        f"{done.path}: {done.size / 1e6:.2f} MB, PyTorch and onnxruntime differ by at most "
        f"{done.difference:.1e}; one thread: median {usual:.1f} ms, best {fastest:.1f} ms"
    )
    write_card(
        plan.out,
        score=SCORE,
        iou=IOU,
        source="Trained from scratch for this project by tools/train_detector.py",
        training_data=_recipe(plan, training.step),
        measured=f"ONNX against PyTorch: largest difference {done.difference:.1e}. One onnxruntime "
        f"thread at 640x384: median {usual:.1f} ms, best {fastest:.1f} ms",
    )


def _measure(plan: Plan) -> None:
    from rsu.config.cameras import OnnxDetectorOptions
    from rsu.perception.onnx_detector import OnnxDetector
    from rsu.perception.registry import find_model
    from tools.detector import evaluation as ev
    from tools.detector.held_out import SCENARIOS, held_out
    from tools.detector.scenes import HEIGHT, WIDTH

    files = find_model(str(plan.out.resolve()), Path.cwd())
    options = OnnxDetectorOptions(driver="onnx", model=str(plan.out), score_threshold=0.01)
    detector = OnnxDetector(files, options, (WIDTH, HEIGHT))
    scenarios = SCENARIOS[: plan.scenarios]
    pictures = []
    with _bar("measuring", len(scenarios) * plan.each) as show:
        for scenario, image, labels in held_out(plan.each, scenarios):
            pictures.append(ev.looked(detector.detect(image, ()), labels, scenario.name))
            show(len(pictures), scenario.name)
    rows = ev.report(pictures)
    for what, precision, count in rows:
        print(f"{what:45s} {precision:6.3f}  {count:6d}")
    found = {}
    for name, kinds in (("vehicles", ev.VEHICLES), ("vulnerable", ev.VULNERABLE)):
        found[name] = ev.recall_at(pictures, kinds, SCORE)
        print(f"{name} at score {SCORE}: recall %.3f, precision %.3f" % found[name])
    values = {what: precision for what, precision, _ in rows}
    line = "; ".join(
        f"{what} {values[what]:.3f}"
        for what in (
            "vehicles, pooled", "vehicles, mean of strict classes",
            "vulnerable, pooled", "vulnerable, mean of strict classes",
        )
    )  # fmt: skip
    each = ", ".join(f"{kind.value} {values[kind.value]:.2f}" for kind in ev.CLASSES)
    text = (
        f"AP50 on {len(pictures)} rendered pictures of {len(scenarios)} scenarios never "
        f"trained on (tools/detector/held_out.py), objects at least 16 px high and 60 % visible: "
        f"{line}. By class: {each}. At score {SCORE}, recall and precision: vehicles "
        f"{found['vehicles'][0]:.2f} and {found['vehicles'][1]:.2f}, vulnerable "
        f"{found['vulnerable'][0]:.2f} and {found['vulnerable'][1]:.2f}"
    )
    _tell(files.card, 1, text)


def _clips(plan: Plan) -> None:
    """The two real clips: this model and the motion detector, each shown every frame."""
    if plan.clips is None:
        return
    from rsu.config.cameras import MotionDetectorOptions, OnnxDetectorOptions
    from rsu.perception.motion_detector import MotionDetector
    from rsu.perception.onnx_detector import OnnxDetector
    from rsu.perception.registry import find_model
    from tools.detector.clips import CLIPS, told, watch

    files = find_model(str(plan.out.resolve()), Path.cwd())
    size = (1, 1)  # only regions refer to it, and there are none
    model = OnnxDetector(files, OnnxDetectorOptions(driver="onnx", model=plan.out.stem), size)
    texts = []
    for name, truth in CLIPS.items():
        motion = MotionDetector(MotionDetectorOptions(driver="motion"), size)
        for title, detector in (("this model", model), ("motion", motion)):
            counts = watch(plan.clips / name, truth, lambda image, d=detector: d.detect(image, ()))
            texts.append(f"{name}, {title}: {told(counts)}")
            print(texts[-1])
    _tell(files.card, 2, f"Real clips at score {SCORE}, labelled frames: {'. '.join(texts)}")


def _tell(path: Path, place: int, text: str) -> None:
    """Replace one part of what a card says was measured: 0 export, 1 rendered, 2 real clips."""
    from rsu.perception.card import card_text, load_card

    card = load_card(path)
    parts = [*card.measured.split(" | "), "", ""][:3]
    parts[place] = text
    told = " | ".join(part for part in parts if part)
    path.write_text(card_text(card.model_copy(update={"measured": told})), encoding="utf-8")


def _training(plan: Plan, crew=None):  # type: ignore[no-untyped-def]
    """The training of this plan as far as its checkpoint goes."""
    from tools.detector.network import Shape
    from tools.detector.training import ALONE, Recipe, Training

    training = Training(Recipe(plan.seed, plan.steps), Shape(), crew or ALONE)
    if plan.checkpoint.exists():
        training.resume(plan.checkpoint)
    return training


def _recipe(plan: Plan, steps: int) -> str:
    from tools.detector.training import Recipe

    recipe = Recipe(plan.seed, plan.steps)
    text = (
        f"{plan.pictures} pictures of invented road users rendered by rsu.sim.render at invented "
        f"places and at the example junction, seed {plan.seed}; no real image. {steps} steps of "
        f"{recipe.size} crops (the last {recipe.plain:.0%}: whole pictures)"
    )
    if plan.start_from is not None:
        text += f". First weights: {plan.start_from.name} of an earlier training"
    return f"{text}. {plan.note}" if plan.note else text


@contextmanager
def _bar(title: str, total: int, shown: bool = True) -> Iterator:  # type: ignore[type-arg]
    """A progress bar, or now and then a line where there is no terminal; gives a function
    (done, text)."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description:10}"), BarColumn(), MofNCompleteColumn(),
               TimeRemainingColumn(), TextColumn("{task.fields[text]}"))  # fmt: skip
    with Progress(*columns, disable=not shown) as progress:
        task = progress.add_task(title, total=total, text="")
        lines = shown and not progress.console.is_terminal
        told = 0

        def show(done: int, text: str) -> None:
            nonlocal told
            progress.update(task, completed=done, text=text)
            if lines and done - told >= max(1, total // 20):
                told = done
                print(f"{title}: {done} of {total}  {text}", flush=True)

        yield show


if __name__ == "__main__":
    main()
