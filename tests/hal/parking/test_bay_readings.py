"""Bay readings: mappings of several shapes, what a word is worth, what is refused, any document."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from rsu.config.parking import BayMqttOptions
from rsu.hal.parking.bay_readings import BayReadings
from rsu.schema.devices import BayReading
from rsu.schema.units import NS_PER_S, Instant

NOW_NS = 1_767_225_600_000_000_000
NOW = Instant(NOW_NS, 5)
SINGLE = {
    "bay": "id",
    "occupied": {"path": "s", "table": {1: True, 0: False, 9: None}},
    "time": {"format": "epoch_s", "path": "t"},
    "battery": {"path": "bat", "unit": "percent"},
}


def reader(mapping: dict[str, Any], **more: Any) -> tuple[BayReadings, Counter[str]]:
    dropped: Counter[str] = Counter()
    made = BayMqttOptions(
        id="bays", driver="bay_mqtt", host="127.0.0.1", topic="p/#", mapping=mapping, **more
    )
    return BayReadings(made, dropped), dropped


def read(made: BayReadings, document: Any, topic: str = "p/x", **more: bool) -> list[BayReading]:
    return list(made.document(topic, json.dumps(document).encode(), NOW, **more))


def test_a_reading_by_itself() -> None:
    made, dropped = reader(SINGLE, bays={"41": "A-01"})
    second = NOW_NS // NS_PER_S - 30
    assert read(made, {"id": 41, "s": 1, "t": second, "bat": 75}) == [
        BayReading(
            sensor="bays",
            bay="A-01",
            capture_ns=NOW_NS - 30 * NS_PER_S,
            occupied=True,
            probability=pytest.approx(0.97),
            battery=0.75,
        )
    ]
    assert not dropped


def test_a_word_is_worth_what_the_sensor_is() -> None:
    made, _ = reader(SINGLE, reliability={"detects": 0.9, "false_alarm": 0.2})
    second = NOW_NS // NS_PER_S
    found = [read(made, {"id": f"b{s}", "s": s, "t": second})[0].probability for s in (1, 0, 9)]
    # Bayes with even odds: 0.9/(0.9+0.2), 0.1/(0.1+0.8); 9 says nothing.
    assert found == [pytest.approx(9 / 11), pytest.approx(1 / 9), 0.5]


def test_a_list_with_one_time_and_words_and_truth_values() -> None:
    mapping = {
        "readings": "data.bays", "bay": "n", "device": {"path": "gw", "equals": "g1"},
        "occupied": {"path": "busy", "table": {"true": True, "false": False}},
        "time": {"format": "iso8601", "path": "at"},
    }  # fmt: skip
    made, dropped = reader(mapping)
    bays = [
        {"n": "A", "busy": True}, {"n": "B", "busy": False, "at": "2025-12-31T23:59:00Z"},
        {"n": "C", "busy": "odd"}, {"busy": True}, 7,
    ]  # fmt: skip
    document = {"gw": "g1", "at": "2026-01-01T00:00:00Z", "data": {"bays": bays}}
    found = read(made, document)
    assert [(one.bay, one.occupied) for one in found] == [("A", True), ("B", False), ("C", None)]
    assert [NOW_NS - one.capture_ns for one in found] == [0, 60 * NS_PER_S, 0]
    assert dropped == {"bad_reading": 2}
    assert read(made, {**document, "gw": "g2"}) == []
    assert dropped["other_device"] == 1


def test_the_topic_may_name_the_bay() -> None:
    mapping = {**SINGLE, "bay": None, "topic_level": 1, "time": {"format": "arrival"}}
    made, dropped = reader(mapping, bays={"dev7": "A-07"}, latency_s=2.0)
    (found,) = read(made, {"s": 0}, "p/dev7/up")
    assert (found.bay, found.capture_ns) == ("A-07", NOW_NS - 2 * NS_PER_S)
    assert read(made, {"s": 0}, "p/dev8/up") == read(made, {"s": 0}, "p") == []
    assert dropped == {"unknown_bay": 1, "bad_reading": 1}


def test_what_the_broker_kept_is_taken_where_it_is_dated() -> None:
    second = NOW_NS // NS_PER_S - 3600
    made, dropped = reader(SINGLE)
    assert read(made, {"id": "a", "s": 1, "t": second}, retained=True)
    undated, refused = reader({**SINGLE, "time": {"format": "arrival"}})
    assert not read(undated, {"id": "a", "s": 1}, retained=True)
    assert (dropped, refused) == ({}, {"retained": 1})


def test_repeats_reordering_and_times_that_cannot_be_are_dropped_for_each_bay() -> None:
    made, dropped = reader(SINGLE, max_age_s=100.0, max_ahead_s=2.0)
    now_s = NOW_NS // NS_PER_S
    for bay, ages in (("a", (5, 5, 6)), ("b", (5, 101, -3))):
        for age in ages:
            read(made, {"id": bay, "s": 1, "t": now_s - age})
    assert dropped == {
        "duplicate_timestamp": 1, "non_monotone_timestamp": 1, "stale_timestamp": 1,
        "future_timestamp": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bays": {"1": "A", "2": "A"}}, "already has the sensor"),
        ({"mapping": {**SINGLE, "topic_level": 1}}, "exactly one of bay and topic_level"),
        ({"mapping": {**SINGLE, "bay": None}}, "exactly one of bay and topic_level"),
        ({"latency_s": 1.0}, "mapping.time reads one"),
    ],
)
def test_options_that_contradict_themselves(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        reader(change.pop("mapping", SINGLE), **change)


documents = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["id", "s", "t", "bat", "z"]), inner, max_size=5)
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=200)
@given(st.one_of(st.binary(max_size=60), documents.map(lambda d: json.dumps(d).encode())))
def test_no_document_does_harm(octets: bytes) -> None:
    made, dropped = reader(SINGLE)
    found = list(made.document("p/x", octets, NOW))
    assert found or dropped or octets == b"[]"
    assert all(0.0 < one.probability < 1.0 for one in found)
