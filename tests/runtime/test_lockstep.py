"""Lock-step runs are reproducible, tick in virtual time, and replay from their own journal."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from rsu.runtime.journal_replay import JournalReplay
from rsu.runtime.lockstep import LockStepHost, virtual_boot
from rsu.runtime.stage import StageGroup
from rsu.schema.journal import StepKind
from rsu.schema.message import Message
from rsu.schema.topics import CAMERA_DETECTIONS, DECISION, JOURNAL, TRACKS, UNIT_HEALTH
from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant
from rsu.schema.wire import to_json

START = 1_735_689_600 * NS_PER_S  # 2025-01-01T00:00:00Z
Core = Callable[[Instant], StageGroup]
Detections = Callable[[str, int, int], Message]


@pytest.fixture
def recorded(core: Core, detections: Detections) -> list[Message]:
    """All messages of a run over 20 frames of two cameras, 80 ms apart."""
    boot = virtual_boot(START)
    messages: list[Message] = []
    host = LockStepHost([core(boot)], messages.append, boot)
    source = [
        (START + i * 80 * NS_PER_MS + 5, detections(("north", "south")[i % 2], i // 2, START + i))
        for i in range(20)
    ]
    host.run(source)
    return messages


def words(messages: list[Message]) -> list[tuple[object, bytes]]:
    """Header and payload of everything, as bytes that can be compared."""
    return [(message.header, to_json(message.payload)) for message in messages]


def test_the_same_source_gives_the_same_bytes(core: Core, detections: Detections) -> None:
    runs = []
    for _ in range(2):
        boot = virtual_boot(START)
        messages: list[Message] = []
        LockStepHost([core(boot)], messages.append, boot).run(
            [(START + i * 90 * NS_PER_MS, detections("north", i, START)) for i in range(5)]
        )
        runs.append(words(messages))
    assert runs[0] == runs[1]


def test_ticks_fall_on_whole_periods_of_virtual_time(recorded: list[Message]) -> None:
    ticks = [m.payload.time_ns for m in recorded if m.topic == DECISION]
    assert ticks == [START + (i + 1) * 100 * NS_PER_MS for i in range(len(ticks))]
    assert len(ticks) == 15  # 19 × 80 ms = 1.52 s


def test_sequence_numbers_count_per_topic_and_source_without_gaps(recorded: list[Message]) -> None:
    seen: dict[tuple[str, str], list[int]] = {}
    for message in recorded:
        seen.setdefault((message.header.topic, message.header.source), []).append(
            message.header.seq
        )
    assert (CAMERA_DETECTIONS.name, "south") in seen
    for numbers in seen.values():
        assert numbers == list(range(len(numbers)))


def test_the_journal_comes_before_the_output_it_explains(recorded: list[Message]) -> None:
    journaled = 0
    for before, after in pairwise(recorded):
        if after.topic == TRACKS:
            assert before.topic == JOURNAL
            assert before.payload.steps[-1].kind is StepKind.MESSAGE
            journaled += 1
    assert journaled == 20


def test_unit_health_is_stated_once_a_second(recorded: list[Message]) -> None:
    times = [m.payload.time_ns for m in recorded if m.topic == UNIT_HEALTH]
    assert times == [START, START + NS_PER_S]


def test_replay_by_journal_repeats_every_byte(core: Core, recorded: list[Message]) -> None:
    again: list[Message] = []
    result = JournalReplay({"core": core}, again.append).run(recorded)
    assert result.exact
    assert result.steps == 20 + 15
    assert sorted(words(again), key=repr) == sorted(words(recorded), key=repr)
    made = [w for w in words(recorded) if w[0].topic in {"tracks", "decision", "journal"}]
    assert [w for w in words(again) if w[0].topic in {"tracks", "decision", "journal"}] == made


def test_a_replay_of_a_replay_is_the_same(core: Core, recorded: list[Message]) -> None:
    again: list[Message] = []
    JournalReplay({"core": core}, again.append).run(recorded)
    third: list[Message] = []
    JournalReplay({"core": core}, third.append).run(again)
    assert words(third) == words(again)


def test_a_lost_input_makes_the_replay_say_it_is_not_exact(
    core: Core, recorded: list[Message]
) -> None:
    lost = next(i for i, m in enumerate(recorded) if m.topic == CAMERA_DETECTIONS)
    result = JournalReplay({"core": core}, lambda _m: None).run(
        recorded[:lost] + recorded[lost + 1 :]
    )
    assert not result.exact
    assert len(result.missing) == 1
    assert result.missing[0].topic == CAMERA_DETECTIONS.name


def test_a_recording_without_its_beginning_says_so(core: Core, recorded: list[Message]) -> None:
    first_journal = next(i for i, m in enumerate(recorded) if m.topic == JOURNAL)
    result = JournalReplay({"core": core}, lambda _m: None).run(recorded[first_journal + 1 :])
    assert not result.exact
    assert result.orphans > 0


def test_a_restarted_core_replays_as_two_runs(core: Core, detections: Detections) -> None:
    """A core that was killed starts anew in the middle of the recording."""
    recorded: list[Message] = []
    for life in range(2):
        boot = Instant(START + life * 7_000_000, 500 + life)
        group = core(boot)
        for i in range(3):
            now = Instant(boot.utc_ns + i + 1, boot.mono_ns + i + 1)
            message = detections("north", i, START).stamped(START, 3 * life + i, now.utc_ns)
            outputs = group.handle(message, now)
            recorded += [message, group.take_journal(now), *outputs]
    again: list[Message] = []
    result = JournalReplay({"core": core}, again.append).run(recorded)
    assert result.exact
    assert result.starts == 2
    assert words(again) == words(recorded)


def test_stop_is_obeyed_between_messages(core: Core, detections: Detections) -> None:
    boot = virtual_boot(START)
    seen: list[Message] = []
    host = LockStepHost([core(boot)], seen.append, boot)
    host.run(
        [(START + i, detections("north", i, START)) for i in range(10)],
        stop=lambda: sum(m.topic == CAMERA_DETECTIONS for m in seen) >= 3,
    )
    assert sum(m.topic == CAMERA_DETECTIONS for m in seen) == 3


def test_missed_ticks_are_skipped_not_run_in_a_burst(core: Core) -> None:
    boot = Instant(START, 0)
    group = core(boot)
    group.tick(1, Instant(START + 1, 1_234 * NS_PER_MS))
    assert group.next_tick() == (1_300 * NS_PER_MS, 1)
    with pytest.raises(ValueError, match="does not tick"):
        group.tick(0, boot)
