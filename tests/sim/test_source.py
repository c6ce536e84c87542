"""The simulated site as messages: in order, complete, and the same to the last bit every time."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from rsu.config.model import SiteConfig
from rsu.schema.message import Message
from rsu.schema.topics import (
    CAMERA_DETECTIONS,
    ENVIRONMENT,
    GNSS_FIX,
    RADAR_OBJECTS,
    SENSOR_HEALTH,
    SIGNAL_STATE,
    TRUTH,
    V2X_RX,
)
from rsu.schema.units import NS_PER_MS, NS_PER_S
from rsu.schema.wire import pack, to_json
from rsu.sim.errors import SimulationError
from rsu.sim.source import simulated_messages

START_NS = 1_767_225_600_123_456_789


def messages(
    config: SiteConfig, root: Path, seconds: int, seed: int = 1
) -> list[tuple[int, Message]]:
    return list(simulated_messages(config, root / "configs", seed, START_NS, seconds * NS_PER_S))


@pytest.fixture(scope="module")
def four_seconds(junction: SiteConfig, root: Path) -> list[tuple[int, Message]]:
    return messages(junction, root, 4)


def test_arrivals_never_go_back_and_nothing_arrives_before_it_was(
    four_seconds: list[tuple[int, Message]],
) -> None:
    arrivals = [arrival for arrival, _ in four_seconds]
    assert arrivals == sorted(arrivals)
    for arrival, message in four_seconds:
        # Weather stations and bay sensors date their words to the ms.
        assert START_NS - NS_PER_MS < message.header.capture_ns <= arrival
        assert message.header.capture_ns < START_NS + 4 * NS_PER_S


def test_every_device_speaks_at_its_rate(four_seconds: list[tuple[int, Message]]) -> None:
    counted = Counter((m.topic.name, m.header.source) for _, m in four_seconds)
    assert counted.pop((RADAR_OBJECTS.name, "west")) in (55, 56)  # every 72 ms
    assert counted.pop((V2X_RX.name, "air")) > 10  # as many as vehicles are equipped
    assert counted == {
        (GNSS_FIX.name, "receiver"): 4,
        (ENVIRONMENT.name, "west-mast"): 4 * 5,
        (SENSOR_HEALTH.name, "receiver"): 4,
        (SENSOR_HEALTH.name, "west-mast"): 4,
        (CAMERA_DETECTIONS.name, "north-east"): 40,
        (CAMERA_DETECTIONS.name, "south-west"): 40,
        (SIGNAL_STATE.name, "cabinet"): 40,
        (TRUTH.name, "sim"): 40,
        (SENSOR_HEALTH.name, "north-east"): 4,
        (SENSOR_HEALTH.name, "south-west"): 4,
        (SENSOR_HEALTH.name, "cabinet"): 4,
        (SENSOR_HEALTH.name, "west"): 4,
    }


def test_payloads_say_what_their_headers_say(four_seconds: list[tuple[int, Message]]) -> None:
    objects = 0
    frames = {"north-east": 0, "south-west": 0}
    for _, message in four_seconds:
        payload, capture = message.payload, message.header.capture_ns
        to_json(payload)  # raises where a number is not finite
        if message.topic is CAMERA_DETECTIONS:
            assert payload.sensor == message.header.source
            assert payload.capture_ns == capture
            assert payload.frame == frames[payload.sensor]
            frames[payload.sensor] += 1
            objects += len(payload.detections)
        elif message.topic is SIGNAL_STATE:
            assert payload.intersection == 1
            assert payload.capture_ns == capture
        elif message.topic is RADAR_OBJECTS:
            assert payload.sensor == "west"
            assert payload.capture_ns == capture
        elif message.topic in (GNSS_FIX, ENVIRONMENT, V2X_RX):
            assert payload.capture_ns == capture
        else:
            assert payload.time_ns == capture
    assert objects > 50


def test_latency_and_jitter_are_the_options(junction: SiteConfig, root: Path) -> None:
    assert junction.simulation is not None
    options = junction.simulation.model_copy(
        update={"latency_s": 0.05, "jitter_s": 0.01, "vehicles_per_hour": 0.0,
                "pedestrians_per_hour": 0.0, "clutter_per_frame": 0.0}
    )  # fmt: skip
    config = junction.model_copy(update={"simulation": options})
    delays = [
        (arrival - message.header.capture_ns) / NS_PER_S
        for arrival, message in messages(config, root, 60)
        if message.topic is CAMERA_DETECTIONS
    ]
    mean = sum(delays) / len(delays)
    spread = (sum((d - mean) ** 2 for d in delays) / len(delays)) ** 0.5
    # 1200 draws: 3 σ of their mean is 0.9 ms, of their spread 0.6 ms
    assert mean == pytest.approx(0.05, abs=0.0009)
    assert spread == pytest.approx(0.01, abs=0.0006)


def test_cameras_are_not_synchronised(four_seconds: list[tuple[int, Message]]) -> None:
    phases = {
        m.header.source: (m.header.capture_ns - START_NS) % (NS_PER_S // 10)
        for _, m in four_seconds
        if m.topic is CAMERA_DETECTIONS
    }
    assert len(set(phases.values())) == 2


def test_one_run_is_the_beginning_of_a_longer_one(
    four_seconds: list[tuple[int, Message]], junction: SiteConfig, root: Path
) -> None:
    endless = simulated_messages(junction, root / "configs", 1, START_NS, None)
    cut = START_NS + 3 * NS_PER_S
    expected = [(a, pack(m)) for a, m in four_seconds if a < cut]
    assert [(a, pack(m)) for a, m in islice(endless, len(expected))] == expected


def test_another_sensor_changes_neither_traffic_nor_the_other_sensors(
    four_seconds: list[tuple[int, Message]], junction: SiteConfig, root: Path
) -> None:
    third = junction.cameras[0].model_copy(update={"id": "third"})
    more = junction.model_copy(update={"cameras": (third, *junction.cameras)})
    kept = [
        pack(m) for _, m in messages(more, root, 4)
        if m.header.source != "third"
    ]  # fmt: skip
    assert sorted(kept) == sorted(pack(m) for _, m in four_seconds)


def test_cameras_with_a_real_detector_are_left_to_it(junction: SiteConfig, root: Path) -> None:
    from rsu.config.cameras import FileSourceOptions, MotionDetectorOptions

    real = junction.cameras[0].model_copy(
        update={
            "source": FileSourceOptions(driver="file", path=Path("clip.mp4")),
            "detector": MotionDetectorOptions(driver="motion"),
        }
    )
    config = junction.model_copy(update={"cameras": (real,)})
    topics = {m.topic.name for _, m in messages(config, root, 1)}
    assert CAMERA_DETECTIONS.name not in topics


def test_a_site_without_lanes_is_refused(junction: SiteConfig, root: Path) -> None:
    nowhere = junction.model_copy(update={"site": junction.site.model_copy(update={"lanes": None})})
    with pytest.raises(SimulationError, match=r"site\.lanes is missing"):
        simulated_messages(nowhere, root / "configs", 1, START_NS, NS_PER_S)


def test_a_missing_map_and_a_negative_seed_are_refused(
    junction: SiteConfig, root: Path, tmp_path: Path
) -> None:
    with pytest.raises(SimulationError, match=r"junction-lanes\.geojson"):
        simulated_messages(junction, tmp_path, 1, START_NS, NS_PER_S)
    with pytest.raises(SimulationError, match="seed -1"):
        simulated_messages(junction, root / "configs", -1, START_NS, NS_PER_S)
