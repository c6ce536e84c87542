"""The detector's training tool: its numbers by hand, and all its stages with a few pictures.

Average precision and maps need no PyTorch; the stages run in a process of their own where the extra
`train` is installed.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rsu.config.cameras import OnnxDetectorOptions
from rsu.perception.onnx_detector import OnnxDetector
from rsu.perception.registry import find_model
from rsu.schema.sensing import ImageDetection, ObjectClass
from rsu.schema.units import Box
from rsu.sim.world.scene import stream
from tools.detector import evaluation as ev
from tools.detector.dataset import Labels, discernible, example_junction
from tools.detector.held_out import SCENARIOS
from tools.detector.maps import drawn_map
from tools.detector.scenes import CLASSES, drawn_camera, drawn_scene

ROOT = Path(__file__).resolve().parents[2]
CAR, BUS = CLASSES.index(ObjectClass.CAR), CLASSES.index(ObjectClass.BUS)
PERSON = CLASSES.index(ObjectClass.PEDESTRIAN)


def picture(truth: list[tuple], found: list[tuple], tag: str = "day") -> ev.Looked:
    """truth: (left, top, width, height, class, visible); found: the same with a score."""
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h, _, _ in truth], float).reshape(-1, 4)
    labels = Labels(
        boxes,
        np.array([row[4] for row in truth], dtype=np.int64),
        np.array([row[5] for row in truth], dtype=float),
    )
    detections = [
        ImageDetection(object_class=CLASSES[kind], score=score, box=Box(x, y, w, h))
        for x, y, w, h, kind, score in found
    ]
    return ev.looked(detections, labels, tag)


def test_a_perfect_detector_scores_one() -> None:
    truth = [(10.0, 10.0, 40.0, 30.0, CAR, 1.0), (100.0, 10.0, 20.0, 40.0, PERSON, 0.9)]
    seen = picture(truth, [(*row[:5], 0.9) for row in truth])
    assert ev.average_precision([seen], ev.VEHICLES) == (1.0, 1)
    assert ev.average_precision([seen], ev.VULNERABLE) == (1.0, 1)


def test_precision_is_the_area_that_was_computed_by_hand() -> None:
    # Three cars; by score: hit, false alarm, hit; the third is never found. Precision is 1 up to
    # recall 1/3 (levels 0..0.33: 34 of 101), 2/3 up to 2/3 (0.34..0.66: 33), then 0.
    cars = [(x, 0.0, 50.0, 40.0, CAR, 1.0) for x in (0.0, 100.0, 200.0)]
    found = [(*cars[0][:5], 0.9), (400.0, 0.0, 50.0, 40.0, CAR, 0.8), (*cars[1][:5], 0.7)]
    precision, asked = ev.average_precision([picture(cars, found)], [ObjectClass.CAR])
    assert asked == 3
    assert precision == pytest.approx((34 + 33 * 2 / 3) / 101)


def test_a_wrong_class_fails_strictly_but_not_in_its_group() -> None:
    seen = picture([(0.0, 0.0, 90.0, 60.0, BUS, 1.0)], [(0.0, 0.0, 90.0, 60.0, CAR, 0.9)])
    assert ev.average_precision([seen], ev.VEHICLES)[0] == 1.0
    assert ev.average_precision([seen], [ObjectClass.BUS]) == (0.0, 1)


@pytest.mark.parametrize(
    "spare", [(100.0, 0.0, 20.0, 12.0, CAR, 1.0), (100.0, 0.0, 50.0, 40.0, CAR, 0.3)]
)
def test_what_is_not_asked_for_is_neither_missed_nor_wrong(spare: tuple) -> None:
    car = (0.0, 0.0, 50.0, 40.0, CAR, 1.0)
    alone = picture([car, spare], [(*car[:5], 0.5)])
    both = picture([car, spare], [(*spare[:5], 0.9), (*car[:5], 0.5)])
    assert ev.average_precision([alone], ev.VEHICLES) == (1.0, 1)
    assert ev.average_precision([both], ev.VEHICLES) == (1.0, 1)


def test_a_second_box_on_the_same_car_is_a_false_alarm() -> None:
    car = (0.0, 0.0, 50.0, 40.0, CAR, 1.0)
    seen = picture([car], [(*car[:5], 0.9), (2.0, 0.0, 50.0, 40.0, CAR, 0.8)])
    assert ev.recall_at([seen], ev.VEHICLES, 0.5) == (1.0, 0.5)


def test_the_report_names_every_condition() -> None:
    truth = [(10.0, 10.0, 40.0, 30.0, CAR, 1.0)]
    found = [(*truth[0][:5], 0.9)]
    rows = ev.report([picture(truth, found, "fog"), picture(truth, [], "night")])
    values = {what: (precision, count) for what, precision, count in rows}
    assert values["vehicles, fog"] == (1.0, 1)
    assert values["vehicles, night"] == (0.0, 1)
    assert values["vehicles, pooled"][1] == 2


def test_invisible_objects_are_not_taught() -> None:
    image = np.full((100, 100, 3), 30, dtype=np.uint8)
    image[60:90, 60:90] = 200
    boxes = np.array([(10.0, 10.0, 30.0, 30.0), (60.0, 60.0, 90.0, 90.0)])
    labels = discernible(image, Labels(boxes, np.array([0, 0]), np.array([1.0, 1.0])))
    assert labels.visible.tolist() == [0.03, 1.0]


@pytest.mark.parametrize("seed", range(8))
def test_drawn_places_have_road_users_in_view(seed: int) -> None:
    rng = stream(seed, "test")
    site_map = drawn_map(rng)
    assert len({lane.id for lane in site_map.lanes}) == len(site_map.lanes)
    camera = drawn_camera(rng, site_map)
    counts = [len(drawn_scene(rng, site_map, camera, n).ids) for n in range(5)]
    assert sum(counts) > 0
    assert all(count < 120 for count in counts)


def test_scenes_repeat_with_their_seed_and_nobody_stands_in_another() -> None:
    def draw():  # type: ignore[no-untyped-def]
        rng = stream(3, "test")
        site_map = example_junction()
        return drawn_scene(rng, site_map, drawn_camera(rng, site_map), 0)

    scene, again = draw(), draw()
    assert scene.ids == again.ids
    assert np.array_equal(scene.position, again.position)
    gaps = np.hypot(*(scene.position[:, np.newaxis] - scene.position).transpose(2, 0, 1))
    assert (gaps[np.triu_indices(len(gaps), 1)] > 0.3).all()


def test_held_out_scenarios_have_names_of_their_own() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)


def _stages(tmp_path: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.train_detector", "--quick", "--threads", "1"]
    command += ["--work", str(tmp_path / "work"), "--out", str(tmp_path / "rsu_quick.onnx"), *more]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False
    )


@pytest.mark.timeout(1800)  # a minute, on a busy machine many
@pytest.mark.skipif(
    importlib.util.find_spec("torch") is None or importlib.util.find_spec("onnx") is None,
    reason="the extra `train` (PyTorch, onnx) is not installed",
)
def test_all_stages_end_in_a_model_that_the_runtime_loads(tmp_path: Path) -> None:
    done = _stages(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "vehicles, pooled" in done.stdout
    options = OnnxDetectorOptions(driver="onnx", model="rsu_quick", score_threshold=0.0)
    files = find_model(str(tmp_path / "rsu_quick.onnx"), tmp_path)
    detector = OnnxDetector(files, options, (640, 384))
    assert detector.card.licence == "Apache-2.0"
    assert "never trained on" in detector.card.measured
    assert detector.detect(np.full((384, 640, 3), 90, dtype=np.uint8), ())
    resumed = _stages(tmp_path, "--only", "train", "export", "--steps", "6")
    assert resumed.returncode == 0, resumed.stderr
    assert "6/6" in resumed.stdout


def test_the_seed_of_the_held_out_scenarios_is_refused(tmp_path: Path) -> None:
    done = _stages(tmp_path, "--seed", "774411")
    assert done.returncode == 2
    assert "held-out" in done.stderr


def test_a_perfect_answer_costs_least_and_its_class_matters() -> None:
    torch = pytest.importorskip("torch", reason="the extra `train` is not installed")
    from tools.detector.loss import Loss, Target
    from tools.detector.network import decode

    loss = Loss(128, 96)
    box = torch.tensor([[40.0, 24.0, 72.0, 56.0]])
    target = Target(box, torch.tensor([CAR]), torch.zeros(0, 4))
    raw = torch.zeros(1, len(loss.cells), 4 + len(CLASSES))
    raw[..., 4:] = -9.0
    # Every cell says this one box, in its own cells and logarithms.
    raw[0, :, :2] = torch.tensor([56.0, 40.0]) / loss.strides.unsqueeze(-1) - loss.cells
    raw[0, :, 2:4] = (torch.tensor([32.0, 32.0]) / loss.strides.unsqueeze(-1)).log()
    assert torch.allclose(decode(raw, loss.cells, loss.strides)[0], box.expand(252, 4), atol=1e-3)
    near = ((loss.centres - torch.tensor([56.0, 40.0])).abs() < 6.0).all(dim=1)
    near &= loss.strides == 8
    right, wrong = raw.clone(), raw.clone()
    right[0, near, 4 + CAR] = 6.0
    wrong[0, near, 4 + BUS] = 6.0
    label, fit = loss(right, [target])
    other, _ = loss(wrong, [target])
    assert float(fit) == pytest.approx(0.0, abs=1e-3)
    assert float(label) < float(other)
    moved = right.clone()
    moved[..., 0] += 0.5
    assert float(loss(moved, [target])[1]) > 0.1


def test_what_is_ignored_costs_nothing() -> None:
    torch = pytest.importorskip("torch", reason="the extra `train` is not installed")
    from tools.detector.loss import Loss, Target

    loss = Loss(128, 96)
    raw = torch.zeros(1, len(loss.cells), 4 + len(CLASSES))
    raw[..., 4:] = -9.0
    here = (loss.centres[:, 0] < 64) & (loss.centres[:, 1] < 48)
    raw[0, here, 4 + CAR] = 3.0
    nothing = torch.zeros(0, 4)
    empty = Target(nothing, torch.zeros(0, dtype=torch.long), nothing)
    doubtful = Target(
        nothing, torch.zeros(0, dtype=torch.long), torch.tensor([[0.0, 0.0, 64.0, 48.0]])
    )
    assert float(loss(raw, [empty])[0]) > 1.0
    assert float(loss(raw, [doubtful])[0]) < 0.01
