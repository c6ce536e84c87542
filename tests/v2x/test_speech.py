"""One message on its way out: counted when it is sent, in a header, in room, and explained."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from rsu.config.v2x_messages import MessageOptions
from rsu.schema.decision_log import DecisionLog
from rsu.schema.health import Decision, Verdict
from rsu.schema.units import NS_PER_S, Instant
from rsu.v2x.codec import codec_for
from rsu.v2x.csae.rsm import RsmWriter
from rsu.v2x.errors import NetworkError
from rsu.v2x.network import dsmp
from rsu.v2x.network.unwrap import unwrap
from rsu.v2x.policy import Gate, Refusal, UnitState
from rsu.v2x.speech import MESSAGE_COUNTS, Counter, Evidence, MessageSet, Speech
from rsu.v2x.unit import Unit

CODEC = codec_for("csae53_2020")


class Bench:
    """A speech of RSM whose room, header and count are as asked, and what it decided."""

    def __init__(
        self, start_ns: int, *, room: int = 1000, start: int = 0, prefix: str = "",
        build: Callable[[int, bytes], bytes] = dsmp.build, **options: Any,
    ) -> None:  # fmt: skip
        self.now = Instant(start_ns, 0)
        self.evidence = Evidence(start_ns, start_ns - 7, (3, 1))
        boot = self.now
        state = UnitState(boot, trust_clock=True)
        message = MessageOptions(**{"aid": 3623, "priority": 208, "rate_hz": 10.0, **options})
        self.log = DecisionLog("v2x")
        self.speech = Speech(
            "v2x", "RSM", MessageSet(CODEC, build, room, prefix), message,
            Gate(message, state, boot), self.log, Counter(start),
        )  # fmt: skip

    def say(self, content: dict[str, Any]) -> list[Any]:
        return self.speech.say(content, self.now, self.evidence, "road_users")

    def decisions(self) -> list[Decision]:
        return self.log.take(self.now)


@pytest.fixture
def content(unit: Callable[..., Unit], start_ns: int) -> dict[str, Any]:
    """An RSM of the unit alone."""
    return dict(RsmWriter(unit()).content(5, start_ns, ()))


def test_a_message_leaves_with_its_header_and_all_that_is_known_of_it(
    content: dict[str, Any], start_ns: int
) -> None:
    bench = Bench(start_ns, channel=183, priority=77)
    (draft,) = bench.say(content)
    frame = draft.payload
    assert frame.value == {"rsmFrame": content}
    assert frame.payload == CODEC.encode(frame.value)
    assert unwrap(frame.network).payloads == (frame.payload,)
    assert (frame.aid, frame.priority, frame.channel) == (3623, 77, 183)
    assert (frame.profile, frame.message) == ("csae53_2020", "RSM")
    assert (frame.time_ns, frame.subjects) == (start_ns, (3, 1))
    assert (draft.header.capture_ns, draft.header.source) == (start_ns - 7, "v2x")
    (decision,) = bench.decisions()
    assert (decision.subject, decision.verdict, decision.reason) == (
        "message:RSM", Verdict.SENT, "road_users",
    )  # fmt: skip


def test_a_packet_holds_exactly_its_room(content: dict[str, Any], start_ns: int) -> None:
    length = len(CODEC.encode({"rsmFrame": content}))
    exact, short = Bench(start_ns, room=length), Bench(start_ns, room=length - 1)
    assert exact.speech.fits(content)
    assert len(exact.say(content)) == 1
    assert not short.speech.fits(content)
    assert short.say(content) == []
    (decision,) = short.decisions()
    assert (decision.verdict, decision.reason) == (Verdict.WITHHELD, "too_large")
    assert decision.detail == f"{length} of {length - 1} octets"


def test_a_header_that_cannot_be_made_is_no_message(content: dict[str, Any], start_ns: int) -> None:
    def refuse(aid: int, payload: bytes) -> bytes:
        raise NetworkError(f"{aid}: no header for {len(payload)} octets")

    bench = Bench(start_ns, build=refuse)
    assert bench.say(content) == []
    (decision,) = bench.decisions()
    assert (decision.verdict, decision.reason) == (Verdict.WITHHELD, "too_large")
    assert decision.detail.startswith("3623: no header")
    assert bench.speech.count == 0


def test_what_the_encoder_refuses_is_dropped_and_told_where(
    content: dict[str, Any], start_ns: int
) -> None:
    bench = Bench(start_ns)
    assert bench.say({**content, "msgCnt": 128}) == []
    (decision,) = bench.decisions()
    assert (decision.verdict, decision.reason) == (Verdict.DROPPED, "encode_failed")
    assert "msgCnt" in decision.detail


def test_only_what_is_sent_is_counted(content: dict[str, Any], start_ns: int) -> None:
    bench = Bench(start_ns, start=126)
    counts = []
    for _ in range(4):
        counts.append(bench.speech.count)
        bench.say({**content, "msgCnt": bench.speech.count})
        bench.say({**content, "msgCnt": 128})  # refused by the encoder
        bench.speech.withhold(bench.now, Refusal("no_place"))
        frame = {"rsmFrame": content}
        sent = bench.speech.relay(CODEC.encode(frame), frame, bench.now, bench.evidence, "pushed")
        assert len(sent) == 1, "another's words, with another's count"
    assert counts == [126, 127, 0, 1]


def test_those_who_say_the_same_message_count_together(start_ns: int) -> None:
    counter = Counter(127)
    bench = Bench(start_ns)
    message = MessageOptions(aid=1, priority=1, rate_hz=1.0)
    gate = Gate(message, UnitState(bench.now, trust_clock=True), bench.now)
    set_ = MessageSet(CODEC, dsmp.build, 1000)
    one, other = (Speech("v2x", "RSI", set_, message, gate, bench.log, counter) for _ in range(2))
    frame = {"msgCnt": one.count, "id": "00" * 8, "refPos": {"lat": 0, "long": 0}}
    assert len(one.say(frame, bench.now, bench.evidence, "signs")) == 1
    assert (one.count, other.count) == (0, 0)


def test_successive_boots_begin_at_other_counts_and_messages_too(start_ns: int) -> None:
    boots = [Instant(start_ns + i * NS_PER_S, 0) for i in range(200)]
    starts = [Counter.of("message:RSM", boot).count for boot in boots]
    assert all(0 <= start < MESSAGE_COUNTS for start in starts)
    assert len(set(starts)) > 64
    # A receiver that saw the last count of one boot must not take the next for its successor.
    assert sum((b - a) % 128 <= 1 for a, b in pairwise(starts)) < 20
    others = [Counter.of("message:sae/SDSM", boot).count for boot in boots]
    assert sum(a == b for a, b in zip(starts, others, strict=True)) < 20
    assert starts == [Counter.of("message:RSM", boot).count for boot in boots]


def test_a_refusal_is_told_of_the_message_of_its_world(start_ns: int) -> None:
    bench = Bench(start_ns, prefix="sae/", rate_hz=1.0)
    assert [bench.speech.allowed(bench.now) for _ in range(3)] == [True, True, False]
    assert not bench.speech.fresh(start_ns - NS_PER_S, bench.now)
    assert not bench.speech.fresh(start_ns + NS_PER_S, bench.now, "track:4")
    assert bench.speech.fresh(start_ns, bench.now)
    told = [(one.subject, one.verdict, one.reason) for one in bench.decisions()]
    assert told == [
        ("message:sae/RSM", Verdict.WITHHELD, "rate_bound"),
        ("message:sae/RSM", Verdict.WITHHELD, "evidence_stale"),
        ("track:4", Verdict.WITHHELD, "evidence_from_future"),
    ]
