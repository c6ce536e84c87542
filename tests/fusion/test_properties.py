"""Whatever comes in: covariances stay valid, numbers finite, ids unique, bounds kept."""

import math
from types import SimpleNamespace

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rsu.config.fusion import FusionOptions
from rsu.fusion.stage import FusionStage
from rsu.schema.message import Message
from rsu.schema.sensing import (
    CameraDetection,
    CameraDetections,
    ObjectClass,
    RadarObject,
    RadarObjects,
)
from rsu.schema.topics import CAMERA_DETECTIONS, RADAR_OBJECTS
from rsu.schema.tracks import TrackList
from rsu.schema.units import Box, Cov2, Instant, Size, Vec2
from rsu.schema.wire import from_json, to_json

START_NS = 1_735_689_600_000_000_000

# Mostly near each other, so that things associate; now and then anything at all.
coordinate = st.one_of(st.floats(-6.0, 6.0), st.floats(-6.0, 6.0), st.floats())
variance = st.one_of(st.floats(0.0, 4.0), st.floats(0.0, 2600.0), st.floats())
anything = st.floats()
kind = st.sampled_from(list(ObjectClass))
size = st.builds(Size, anything, anything, anything)


@st.composite
def covariance(draw: st.DrawFn) -> Cov2:
    xx, yy = draw(variance), draw(variance)
    share = draw(st.floats(-1.0, 1.0))
    if xx >= 0.0 and yy >= 0.0:
        return Cov2(xx, share * math.sqrt(xx) * math.sqrt(yy), yy)
    return Cov2(xx, draw(anything), yy)


detection = st.builds(
    CameraDetection, object_class=kind, score=st.one_of(st.floats(0, 1), anything),
    box=st.just(Box(0.0, 0.0, 1.0, 1.0)), position=st.builds(Vec2, coordinate, coordinate),
    position_cov=covariance(), size=size,
)  # fmt: skip
radar_object = st.builds(
    RadarObject, object_id=st.just(0), position=st.builds(Vec2, coordinate, coordinate),
    position_cov=covariance(), velocity=st.builds(Vec2, coordinate, coordinate),
    velocity_cov=covariance(), object_class=kind,
    existence=st.one_of(st.none(), st.floats(0, 1), anything),
)  # fmt: skip
# (kind of sensor, index of it, ms since the last message, lateness of capture in ms, contents)
camera_step = st.tuples(
    st.just("camera"), st.integers(0, 2), st.integers(0, 1200), st.integers(-30, 350),
    st.lists(detection, max_size=5),
)  # fmt: skip
radar_step = st.tuples(
    st.just("radar"), st.integers(0, 1), st.integers(0, 300), st.integers(0, 350),
    st.lists(radar_object, max_size=5),
)  # fmt: skip
tick_step = st.tuples(
    st.just("tick"), st.just(0), st.integers(0, 3000), st.just(0), st.just([])
)  # fmt: skip


@given(steps=st.lists(st.one_of(camera_step, camera_step, radar_step, tick_step), max_size=25))
@settings(deadline=None, max_examples=60)
def test_any_input_leaves_valid_tracks(steps: list[tuple[str, int, int, int, list]]) -> None:
    # Eager options: almost everything is confirmed and published, so that it is checked.
    options = FusionOptions(
        confirm_probability=0.1, birth_probability=0.9, max_tracks=12, publish_hz=1000.0
    )
    stage = FusionStage(options, Instant(START_NS, 0))
    elapsed = 0
    published: dict[int, int] = {}
    for number, (what, index, wait, lateness, contents) in enumerate(steps):
        elapsed += wait * 1_000_000
        now = Instant(START_NS + elapsed, elapsed)
        capture = now.utc_ns - lateness * 1_000_000
        if what == "tick":
            out = stage.tick(now)
        elif what == "camera":
            camera = CameraDetections(
                sensor=f"camera{index}", frame=number, capture_ns=capture, image_width=1,
                image_height=1, detections=tuple(contents),
            )  # fmt: skip
            out = stage.handle(Message.draft(CAMERA_DETECTIONS, "x", capture, camera), now)
        else:
            radar = RadarObjects(
                sensor=f"radar{index}", cycle=number, capture_ns=capture, objects=tuple(contents)
            )
            out = stage.handle(Message.draft(RADAR_OBJECTS, "x", capture, radar), now)
        for message in out:
            if isinstance(message.payload, TrackList):
                check(message, published)
        rows = stage._history.table.rows
        assert len(rows) <= options.max_tracks
        assert len(set(rows.id.tolist())) == len(rows)
        assert_covariances(rows.cov)
        assert_covariances(rows.rest_cov)


def check(message: Message, published: dict[int, int]) -> None:
    """A published list is finite, symmetric, unique and survives the recording's JSON."""
    told: TrackList = message.payload
    assert from_json(message.topic, to_json(told)) == told
    assert len({t.id for t in told.tracks}) == len(told.tracks)
    for track in told.tracks:
        # An id names one birth for ever.
        assert published.setdefault(track.id, track.born_ns) == track.born_ns
        numbers = [
            *track.covariance, track.position.x, track.position.y, track.heading, track.speed,
            track.turn_rate, track.existence, track.class_probability, *_sizes(track.size),
        ]  # fmt: skip
        assert all(math.isfinite(number) for number in numbers)
        assert -math.pi <= track.heading <= math.pi
        assert track.heading_std <= math.pi
        assert track.speed >= 0.0
        assert 0.0 <= track.existence <= 1.0
        assert 0.0 <= track.class_probability <= 1.0
        assert min(_sizes(track.size)) > 0.0
        assert track.born_ns <= track.updated_ns <= told.time_ns
        assert track.sources
        full = np.zeros((5, 5))
        full[np.triu_indices(5)] = track.covariance
        assert_covariances((full + np.triu(full, 1).T)[None])


def _sizes(size: Size) -> tuple[float, float, float]:
    return size.length, size.width, size.height


def assert_covariances(cov: np.ndarray) -> None:
    """Finite, exactly symmetric, positive semi-definite up to rounding."""
    assert np.isfinite(cov).all()
    assert np.array_equal(cov, cov.swapaxes(1, 2))
    if len(cov):
        scale = np.maximum(np.abs(cov).max(axis=(1, 2)), 1.0)
        assert (np.linalg.eigvalsh(cov)[:, 0] >= -1e-9 * scale).all()


@given(
    offsets=st.lists(st.integers(0, 190), min_size=2, max_size=12, unique=True),
    shuffle=st.randoms(use_true_random=False),
)
@settings(
    deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_order_of_arrival_within_the_buffer_does_not_matter_to_the_stage(
    world: SimpleNamespace, offsets: list[int], shuffle: object
) -> None:
    """The last list said is the same for every order of arrival."""

    def message(ms: int) -> Message:
        seen = [(ObjectClass.CAR, 0.01 * ms, 0.0, Cov2(0.2, 0.0, 0.2), 0.8)]
        return world.camera_message(f"s{ms % 3}", ms, world.START_NS + ms * 1_000_000, seen)  # type: ignore[no-any-return]

    def run(order: list[int]) -> bytes:
        stage = FusionStage(FusionOptions(publish_hz=10_000.0), world.BOOT)
        for ms in range(0, 800, 40):
            stage.handle(message(ms), world.instant(ms / 1000))
        said = b""
        for step, ms in enumerate(order):
            now = world.instant(1.0 + 0.001 * step)
            for out in stage.handle(message(ms), now):
                if isinstance(out.payload, TrackList):
                    said = to_json(out.payload)
        return said

    late = [800 + offset for offset in offsets]
    mixed = list(late)
    shuffle.shuffle(mixed)  # type: ignore[attr-defined]
    assert run(mixed) == run(sorted(late))
