"""Heads and plates in previews: where masks lie, that they cannot be undone, when all is coarse."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import pytest

from rsu.config.cameras import CameraOptions, Region
from rsu.config.privacy import PrivacyOptions
from rsu.perception.motion_detector import MotionDetector
from rsu.perception.preview import Previews
from rsu.perception.privacy import (
    CELL_M,
    NEEDED,
    DetailLimit,
    Sightings,
    coarse,
    cover,
    masked,
    patch_of,
    unseen,
)
from rsu.perception.stage import PerceptionStage
from rsu.recording.errors import UnwritableMessageError
from rsu.recording.writer import McapFile
from rsu.schema import wire
from rsu.schema.frame import CameraFrame
from rsu.schema.message import Message
from rsu.schema.preview import CameraPreview, Masking
from rsu.schema.sensing import ImageDetection, ObjectClass
from rsu.schema.topics import CAMERA_FRAME, CAMERA_PREVIEW
from rsu.schema.units import NS_PER_S, Box, Instant

FRAME_NS = NS_PER_S // 10
rng = np.random.default_rng(4)
NOISE = rng.integers(0, 256, (800, 1000, 3), dtype=np.uint8)


def seen(kind: ObjectClass, box: tuple[float, ...], score: float = 0.8) -> ImageDetection:
    return ImageDetection(object_class=kind, score=score, box=Box(*box))


PERSON = seen(ObjectClass.PEDESTRIAN, (480.0, 400.0, 40.0, 100.0))
CAR = seen(ObjectClass.CAR, (200.0, 500.0, 300.0, 200.0))


class Doubting:
    """Sees what it is told to, and doubts it as scores say."""

    stateless = True
    threshold = 0.4
    names: frozenset[ObjectClass] = NEEDED

    def __init__(self, *found: ImageDetection) -> None:
        self.found = found

    def detect(self, image: Any, regions: Sequence[Region]) -> tuple[ImageDetection, ...]:
        return self.detect_down_to(image, regions, self.threshold)

    def detect_down_to(
        self, image: Any, regions: Sequence[Region], least: float
    ) -> tuple[ImageDetection, ...]:
        del image, regions
        return tuple(one for one in self.found if one.score >= least)


@pytest.fixture
def camera(make_camera) -> CameraOptions:
    return make_camera(pose={"tilt": 12})


def at(number: int) -> Instant:
    return Instant(number * FRAME_NS, number * FRAME_NS)


def looked(
    camera: CameraOptions,
    detector: Any,
    frames: int,
    image: np.ndarray = NOISE,
    privacy: PrivacyOptions | None = None,
) -> list[Message]:
    """The pictures of so many frames, ten a second."""
    previews = Previews(camera, privacy or PrivacyOptions(), detector)
    told: list[Message] = []
    for number in range(frames):
        frame = CameraFrame(camera.id, number, number * FRAME_NS, image)
        previews.look(frame, at(number))
        told += previews.take(at(number))
    return told


def picture(message: Message) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(message.payload.jpeg, np.uint8), cv2.IMREAD_COLOR)


# --- where masks lie -----------------------------------------------------------------------------


def test_a_head_and_more_is_covered() -> None:
    patch = patch_of(PERSON)
    # An adult's head is the upper 0.13 of the stature (Winter): 400 to 413.
    assert patch.top <= 385
    assert patch.bottom >= 430
    assert patch.left <= 472
    assert patch.right >= 528
    assert patch.block >= 13  # a head is a single block


@pytest.mark.parametrize("kind", [ObjectClass.BICYCLE, ObjectClass.MOTORCYCLE])
def test_a_rider_is_covered_even_where_the_box_is_the_bare_machine(kind: ObjectClass) -> None:
    # A bicycle 1.05 m high is 105 px here; its rider's head ends 1.75 m up.
    patch = patch_of(seen(kind, (100.0, 300.0, 180.0, 105.0)))
    assert patch.top <= 405 - 175
    assert patch.bottom >= 405


def test_plates_at_both_ends_of_a_vehicle_are_covered() -> None:
    patch = patch_of(CAR)
    assert patch.top <= 610
    assert patch.bottom >= 700
    assert (patch.left, patch.right) == (170.0, 530.0)
    assert patch.block >= 30  # 200 px are 1.5 m: a plate of 440 mm is 59 px, two blocks


@pytest.mark.parametrize(
    "kind", [ObjectClass.UNKNOWN, ObjectClass.OBSTACLE, ObjectClass.ANIMAL], ids=str
)
def test_what_may_be_anything_is_covered_wholly(kind: ObjectClass) -> None:
    box = Box(10.0, 20.0, 30.0, 40.0)
    patch = patch_of(ImageDetection(object_class=kind, score=0.5, box=box))
    assert patch.left < 10
    assert patch.top < 20
    assert patch.right > 40
    assert patch.bottom > 60


def test_the_coarser_mask_wins_where_two_overlap() -> None:
    child = seen(ObjectClass.PEDESTRIAN, (300.0, 590.0, 20.0, 50.0))
    for patches in ([CAR, child], [child, CAR]):
        blocks = cover(map(patch_of, patches), 1.0, 1000, 800)
        assert blocks[588, 310] == 8  # above the car's mask
        assert blocks[605, 310] == 32  # both: the car's, next above 0.15 × 200 px
        assert blocks[0, 0] == 0


# --- what is remembered --------------------------------------------------------------------------


def test_nothing_but_blocks_until_three_looks_and_after_a_gap() -> None:
    sightings = Sightings()
    for number in range(2):
        sightings.see(number * FRAME_NS, (), ())
        assert sightings.patches() is None
    sightings.see(2 * FRAME_NS, (), ())
    assert sightings.patches() == []
    sightings.see(40 * FRAME_NS, (), ())
    assert sightings.patches() is None
    for number in (41, 42):
        sightings.see(number * FRAME_NS, (), ())
    assert sightings.patches() == []
    sightings.see(0, (), ())  # the clock went back
    assert sightings.patches() is None


def test_who_is_missed_in_some_frames_stays_covered_and_the_cover_grows() -> None:
    sightings = Sightings()
    for number in range(4):
        sightings.see(number * FRAME_NS, (PERSON,) if number < 2 else (), ())
    patches = sightings.patches()
    assert patches is not None
    own = patch_of(PERSON)
    assert min(patch.left for patch in patches) < own.left - 20  # 1.5 heights/s, 0.2 s
    for number in range(4, 12):
        sightings.see(number * FRAME_NS, (), ())
    assert sightings.patches() == []


def test_a_slow_camera_remembers_looks_instead_of_time() -> None:
    sightings = Sightings()
    for number in range(4):
        sightings.see(number * NS_PER_S, (PERSON,) if number == 1 else (), ())
    assert sightings.patches()


def test_who_moves_on_leaves_no_trail_of_masks() -> None:
    sightings = Sightings()
    for number in range(6):
        moved = (200.0 + 30 * number, 500.0, 300.0, 200.0)
        sightings.see(number * FRAME_NS, (seen(ObjectClass.CAR, moved),), ())
    patches = sightings.patches()
    assert patches is not None
    assert sorted(patch.left for patch in patches) == [290.0, 320.0]  # the newest two looks


def test_a_mask_of_another_shape_does_not_stand_for_one_that_was() -> None:
    # The walker's box is taken for a car's: its mask leaves the head open, so the old one stays.
    car = seen(ObjectClass.CAR, (480.0, 400.0, 40.0, 100.0))
    sightings = Sightings()
    for number in range(5):
        sightings.see(number * FRAME_NS, (PERSON if number < 2 else car,), ())
    assert patch_of(PERSON) in (sightings.patches() or [])


def test_who_was_sure_once_keeps_a_cover_that_grows_when_doubted_and_lost() -> None:
    sightings = Sightings()
    sightings.see(0, (PERSON,), ())
    for number in (1, 2):
        sightings.see(number * FRAME_NS, (), (PERSON,))
    for number in (3, 4):
        sightings.see(number * FRAME_NS, (), ())
    patches = sightings.patches()
    assert patches is not None
    assert min(patch.left for patch in patches) < patch_of(PERSON).left - 20


@pytest.mark.parametrize(
    ("height", "score", "hidden"),
    [
        # Of the picture's 640 px one is 1.5625 of the image's; the detector reports from 0.4.
        (100.0, 0.33, True),  # 64 px: from 0.8 of that
        (100.0, 0.31, False),
        (48.4, 0.215, True),  # 31 px, half way: from 0.525
        (48.4, 0.205, False),
        (20.0, 0.105, True),  # 13 px: from 0.25
        (20.0, 0.095, False),
    ],
)
def test_doubtful_boxes_are_covered_the_smaller_the_sooner(
    camera, height: float, score: float, hidden: bool
) -> None:
    weak = seen(ObjectClass.PEDESTRIAN, (480.0, 400.0, 0.4 * height, height), score=score)
    previews = Previews(camera, PrivacyOptions(), Doubting(weak))
    for number in range(4):
        frame = CameraFrame(camera.id, number, number * FRAME_NS, NOISE)
        assert previews.look(frame, at(number)) == ()  # not reported
    blocks = previews.blocks(NOISE)
    assert blocks is not None
    scale = 640 / 1000
    assert bool(blocks[int((400 + 0.1 * height) * scale), int(484 * scale)]) is hidden


# --- what is shown -------------------------------------------------------------------------------


def test_a_mask_depends_on_the_means_of_its_blocks_alone() -> None:
    """Two pictures with equal means in every block give the same mask: it cannot be undone."""
    other = NOISE.copy()
    for top in range(0, 800, 32):
        for left in range(0, 1000, 32):
            block = other[top : top + 32, left : left + 32]
            # Means are of whole blocks; those at the border are padded, so they stay as they are.
            if block.shape[:2] == (32, 32):
                block[:] = rng.permutation(block.reshape(-1, 3)).reshape(block.shape)
    blocks = np.full((800, 1000), 32, dtype=np.uint8)
    assert not np.array_equal(NOISE, other)
    assert np.array_equal(masked(NOISE, blocks), masked(other, blocks))


def test_outside_the_mask_nothing_changes() -> None:
    blocks = cover([patch_of(CAR)], 1.0, 1000, 800)
    out = masked(NOISE, blocks)
    assert np.array_equal(out[blocks == 0], NOISE[blocks == 0])
    assert out[blocks > 0].std() < NOISE.std() / 4


def test_no_cell_shows_less_than_four_centimetres_of_the_nearest_head(camera, make_camera) -> None:
    limit = DetailLimit(camera, 640, 512)
    out = limit.applied(np.ascontiguousarray(cv2.resize(NOISE, (640, 512))))
    lens, pose = camera.calibration.lens, camera.calibration.pose
    # The lowest row looks down by the tilt and half the view.
    down = np.radians(pose.tilt) + np.arctan((800 - lens.cy) / lens.fy)
    to_head = (pose.z - 2.5) / np.sin(down) * np.cos(np.arctan((800 - lens.cy) / lens.fy))
    wanted = CELL_M * lens.fx * 640 / 1000 / to_head
    assert wanted > 2, "the example has to need a limit"
    flat = np.abs(np.diff(out[-1, :, 0].astype(int))).mean()
    assert flat < np.abs(np.diff(cv2.resize(NOISE, (640, 512))[-1, :, 0].astype(int))).mean() / 4
    assert out[0].std() > 20  # above the horizon nobody has a head


def test_a_low_camera_limits_all_of_the_picture(make_camera) -> None:
    low = make_camera(pose={"tilt": 5, "z": 2.0})
    out = DetailLimit(low, 640, 512).applied(cv2.resize(NOISE, (640, 512)))
    assert out[0].std() < cv2.resize(NOISE, (640, 512))[0].std()


@pytest.mark.parametrize(
    ("detector", "why"),
    [
        ("motion", "sees that something moves, not what"),
        ("nameless", "cannot name people"),
    ],
)
def test_without_a_detector_of_people_all_is_coarse(camera, detector: str, why: str) -> None:
    from rsu.config.cameras import MotionDetectorOptions

    found: Any = Doubting()
    if detector == "motion":
        found = MotionDetector(MotionDetectorOptions(driver="motion"), (1000, 800))
    else:
        found.names = frozenset({ObjectClass.CAR})
    told = looked(camera, found, 8)
    assert {one.payload.masking for one in told} == {Masking.WHOLE}, why
    assert picture(told[-1]).std() < 20


def test_what_the_detector_is_not_given_is_coarse() -> None:
    patches = unseen([Region(left=250, top=200, width=500, height=400)], (1000, 800), 500, 400)
    blocks = cover(patches, 1.0, 500, 400)
    assert (blocks[:95] > 0).all()
    assert (blocks[305:] > 0).all()
    assert (blocks[:, :120] > 0).all()
    assert (blocks[150:250, 200:300] == 0).all()
    assert unseen([], (1000, 800), 500, 400) == []


def test_a_coarse_picture_has_forty_blocks_across() -> None:
    out = coarse(cv2.resize(NOISE, (640, 512)))
    assert out.std() < 15


# --- previews ------------------------------------------------------------------------------------


def test_two_small_pictures_a_second_with_boxes_of_their_frame(camera) -> None:
    told = looked(camera, Doubting(PERSON, CAR), 30)
    assert 5 <= len(told) <= 7
    newest = told[-1]
    assert newest.topic is CAMERA_PREVIEW
    payload = newest.payload
    assert isinstance(payload, CameraPreview)
    assert (payload.width, payload.height) == (640, 512)
    assert payload.scale == pytest.approx(1000 / 640)
    assert picture(newest).shape == (512, 640, 3)
    assert payload.boxes == (PERSON, CAR)
    assert (payload.masked, payload.masking) == (True, Masking.REGIONS)
    assert told[0].payload.masking is Masking.WHOLE
    assert len(wire.pack(newest.stamped(1, 1, 1))[2]) < 300_000
    assert not CAMERA_PREVIEW.recorded


@pytest.mark.parametrize(("rate_hz", "offset_ns"), [(10, 0), (25, 3), (7, 60_000_000), (30, -3)])
def test_the_rate_holds_whatever_the_camera_s_and_ticks_are(
    camera, rate_hz: int, offset_ns: int
) -> None:
    """Ticks every half second, as the process host gives them; frames in between."""
    previews = Previews(camera, PrivacyOptions(), Doubting())
    image = np.ascontiguousarray(NOISE[:80, :100])
    taken: list[int] = []
    frame = 0
    for tick in range(1, 21):
        tick_ns = tick * NS_PER_S // 2 + offset_ns
        while frame * NS_PER_S // rate_hz < tick_ns:
            now_ns = frame * NS_PER_S // rate_hz
            now = Instant(now_ns, now_ns)
            previews.look(CameraFrame(camera.id, frame, now_ns, image), now)
            frame += 1
        for told in previews.take(Instant(tick_ns, tick_ns)):
            assert tick_ns - told.payload.capture_ns <= NS_PER_S // rate_hz
            taken.append(tick_ns)
    assert len(taken) == 20


def test_ticks_that_come_all_the_time_give_no_more_pictures(camera) -> None:
    previews = Previews(camera, PrivacyOptions(), Doubting())
    image = np.ascontiguousarray(NOISE[:80, :100])
    count = 0
    for number in range(250):
        now = Instant(number * NS_PER_S // 25, number * NS_PER_S // 25)
        previews.look(CameraFrame(camera.id, number, now.mono_ns, image), now)
        count += len(list(previews.take(now)))
    assert 19 <= count <= 21  # ten seconds


def test_a_small_image_is_not_enlarged(camera) -> None:
    small = np.ascontiguousarray(NOISE[:200, :250])
    payload = looked(camera, Doubting(), 4, small)[-1].payload
    assert (payload.width, payload.height, payload.scale) == (250, 200, 1.0)


def test_unmasked_only_where_the_site_file_says_so(camera) -> None:
    privacy = PrivacyOptions(mask=False, reason="a closed test track, nobody is here")
    told = looked(camera, Doubting(PERSON), 8, privacy=privacy)
    assert {(one.payload.masked, one.payload.masking) for one in told} == {(False, Masking.NONE)}


def test_the_stage_tells_pictures_in_its_tick_and_the_same_detections(camera) -> None:
    detector = Doubting(PERSON, seen(ObjectClass.CAR, (480.0, 500.0, 60.0, 40.0), 0.3))
    plain = PerceptionStage(camera, detector)
    stage = PerceptionStage(camera, detector, PrivacyOptions())
    assert CAMERA_PREVIEW in stage.outputs
    assert CAMERA_PREVIEW not in plain.outputs
    assert stage.period_ns == NS_PER_S // 2
    frame = CameraFrame(camera.id, 0, 0, NOISE)
    message = Message.draft(CAMERA_FRAME, camera.id, 0, frame)
    with_pictures, without = (list(one.handle(message, at(0))) for one in (stage, plain))
    assert with_pictures[0].payload == without[0].payload
    assert [one.topic for one in stage.tick(at(1))] == [CAMERA_PREVIEW]
    assert list(stage.tick(at(1))) == []  # one frame, one picture
    assert list(plain.tick(at(1))) == []


def test_previews_can_be_turned_off(make_camera) -> None:
    camera = make_camera(pose={"tilt": 12})
    off = camera.model_copy(update={"preview": camera.preview.model_copy(update={"rate_hz": 0.0})})
    assert CAMERA_PREVIEW not in PerceptionStage(off, Doubting(), PrivacyOptions()).outputs


def test_the_shipped_detector_doubts_without_changing_what_it_reports(root, make_camera) -> None:
    from rsu.config.cameras import OnnxDetectorOptions
    from rsu.perception.onnx_detector import OnnxDetector
    from rsu.perception.registry import find_model

    options = OnnxDetectorOptions(driver="onnx", model="rsu_roadside", score_threshold=0.1)
    detector = OnnxDetector(find_model("rsu_roadside", root), options, (1000, 800))
    assert detector.names >= NEEDED
    image = np.asarray(cv2.GaussianBlur(NOISE, (0, 0), 6), dtype=np.uint8)
    everything = detector.detect_down_to(image, (), 0.05)
    sure = detector.detect(image, ())
    assert sure
    assert everything[: len(sure)] == sure
    assert all(one.score < detector.threshold for one in everything[len(sure) :])
    assert len(everything) > len(sure)


def test_nothing_else_in_the_package_writes_pictures(root) -> None:
    """docs/privacy.md lists every way by which pixels leave; a new one belongs there and here."""
    writers = re.compile(r"imwrite|imencode|VideoWriter\(|imshow|\bPIL\b|np\.save")
    found = {
        str(path.relative_to(root))
        for path in (root / "rsu").rglob("*.py")
        if writers.search(path.read_text(encoding="utf-8"))
    }
    drawn = {"rsu/sim/render/film.py", "rsu/sim/render/kept.py"}  # by the simulator: nobody's
    assert found == drawn | {"rsu/perception/preview.py"}


def test_neither_frames_nor_previews_are_recorded(camera, tmp_path) -> None:
    (told,) = looked(camera, Doubting(), 1)
    file = McapFile(tmp_path / "a.mcap", {})
    frame = Message.draft(CAMERA_FRAME, "a", 0, CameraFrame("a", 0, 0, NOISE))
    for message in (told, frame):
        with pytest.raises(UnwritableMessageError):
            file.write(message.stamped(1, 1, 1))
    file.close()
    with pytest.raises(wire.WireError):
        wire.topic_named(CAMERA_FRAME.name)
