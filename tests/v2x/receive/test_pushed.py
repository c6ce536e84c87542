"""What a centre says of this unit's lights, and what of it is not believed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rsu.runtime.stage import StageGroup
from rsu.schema.message import Message
from rsu.schema.signals import ControllerFlag, LightState, SignalGroup, SignalState
from rsu.schema.topics import SIGNAL_PUSHED, SIGNAL_STATE, V2X_HEARD, V2X_PUSHED, V2X_TX
from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant
from rsu.schema.v2x import PushedV2x
from rsu.v2x.csae import spat as csae_spat
from rsu.v2x.network import dsmp
from rsu.v2x.sae import spat as sae_spat

HEARD_NS = 1_750_000_000 * NS_PER_S
SAID_NS = HEARD_NS - 120 * NS_PER_MS
Listen = Callable[..., Any]
SETS = {"csae53_2020": csae_spat.SpatWriter, "j2735_2024": sae_spat.SpatWriter}


def lights(said_ns: int = SAID_NS, intersection: int = 7) -> SignalState:
    return SignalState(
        controller="cabinet",
        intersection=intersection,
        capture_ns=said_ns,
        groups=(
            SignalGroup(
                group=2,
                light=LightState.PROTECTED_GREEN,
                min_end_ns=said_ns + 5 * NS_PER_S,
                max_end_ns=said_ns + 15 * NS_PER_S,
                likely_end_ns=said_ns + 9 * NS_PER_S,
            ),
            SignalGroup(group=3, light=LightState.RED, likely_end_ns=said_ns + 12 * NS_PER_S),
        ),
        flags=(ControllerFlag.FIXED_TIME,),
    )


@pytest.fixture
def spat(unit: Any, frame: Any) -> Callable[..., bytes]:
    """A SPAT as a centre makes it, of the unit's own or another place."""

    def make(profile: str = "csae53_2020", state: SignalState | None = None, **place: Any) -> bytes:
        writer = SETS[profile](unit(**place))
        return bytes(frame(profile, "SPAT", writer.content(1, state or lights())))

    return make


@pytest.mark.parametrize("profile", list(SETS))
def test_a_centre_tells_our_lights(profile: str, ear: Listen, spat: Any) -> None:
    listening = ear()
    out = listening.take(spat(profile), "SPAT", profile)
    (state,) = out.pop(SIGNAL_PUSHED.name)
    assert out == {}
    said = lights()
    assert (state.controller, state.intersection, state.capture_ns) == ("centre", 7, SAID_NS)
    assert state.flags == said.flags
    assert [(one.group, one.light) for one in state.groups] == [
        (one.group, one.light) for one in said.groups
    ]
    green, stated = state.groups[0], said.groups[0]
    for end in ("min_end_ns", "max_end_ns", "likely_end_ns"):
        # As marks are, to 0.1 s.
        assert getattr(green, end) == pytest.approx(getattr(stated, end), abs=NS_PER_S // 10)
    assert listening.reasons == {}


def test_lights_of_a_cabinet_still_reach_the_unit(ear: Listen, stage: Any) -> None:
    # A group does not take from outside what a stage of it makes: were pushed states told on
    # SIGNAL_STATE, the cabinet's would not come in any more.
    speaking = stage(csae={"spat": {"enabled": True}})
    group = StageGroup("core", [ear().stage, speaking], Instant(HEARD_NS, 0))
    assert {SIGNAL_STATE, V2X_PUSHED} <= group.inputs
    assert SIGNAL_PUSHED in group.outputs


def test_the_voice_of_pushed_messages_says_it_once(
    stage: Any, ear: Listen, spat: Any, start_ns: int
) -> None:
    speaking, listening = stage(csae={"spat": {"enabled": True}}), ear()
    payload = spat()
    pushed = PushedV2x(
        key="k", profile="csae53_2020", message="SPAT", payload=payload, received_ns=HEARD_NS,
        until_ns=HEARD_NS + NS_PER_S,
    )  # fmt: skip
    message = Message.draft(V2X_PUSHED, "uplink", HEARD_NS, pushed)
    assert SIGNAL_PUSHED not in speaking.inputs
    said = [
        one for one in speaking.handle(message, Instant(start_ns, 0)) if one.topic == V2X_TX
    ]  # fmt: skip
    assert [one.payload.payload for one in said] == [payload]
    # Our own relay, heard by our own radio.
    listening.give(said[0])
    assert listening.hear(dsmp.build(1, payload)) == {}
    assert listening.reasons == {("radio:obu", "own_echo"): 1}


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (lights(HEARD_NS - 3 * NS_PER_S), "too_old"),
        (lights(HEARD_NS + NS_PER_S), "from_future"),
        (lights(intersection=8), "not_for_us"),
    ],
)
def test_what_a_centre_says_too_late_or_of_others_is_told(
    ear: Listen, spat: Any, state: SignalState, reason: str
) -> None:
    listening = ear()
    assert listening.take(spat(state=state), "SPAT", "csae53_2020") == {}
    assert listening.reasons == {("pushed:k", reason): 1}


def test_another_region_has_intersections_of_its_own(ear: Listen, spat: Any) -> None:
    listening = ear()
    assert listening.take(spat(region=311), "SPAT", "csae53_2020") == {}
    assert listening.reasons == {("pushed:k", "not_for_us"): 1}


def test_what_the_other_stage_tells_is_not_told_twice(ear: Listen, spat: Any, frame: Any) -> None:
    listening, payload = ear(), spat()
    here = {"lat": 312304000, "long": 1214737000}
    chart = frame("csae53_2020", "MAP", {"msgCnt": 1, "nodes": [{"id": {"id": 7}, "refPos": here}]})
    for octets, message, profile, until_ns in (
        (b"\xff" * 20, "SPAT", "csae53_2020", HEARD_NS + NS_PER_S),
        (payload, "SPAT", "no_such_set", HEARD_NS + NS_PER_S),
        (payload, "MAP", "csae53_2020", HEARD_NS + NS_PER_S),
        (chart, "SPAT", "csae53_2020", HEARD_NS + NS_PER_S),
        (chart, "MAP", "csae53_2020", HEARD_NS + NS_PER_S),
        (payload, "SPAT", "csae53_2020", HEARD_NS - NS_PER_S),
        (b"", "SPAT", "csae53_2020", HEARD_NS + NS_PER_S),
    ):
        assert listening.take(octets, message, profile, until_ns=until_ns) == {}
    assert listening.reasons == {}


def test_a_neighbours_word_about_our_lights_is_only_heard(ear: Listen, spat: Any) -> None:
    listening = ear()
    assert list(listening.hear(dsmp.build(3622, spat()))) == [V2X_HEARD.name]


def test_a_flood_of_states_is_bounded(ear: Listen, spat: Any) -> None:
    listening, payload = ear(), spat()
    taken = sum(
        SIGNAL_PUSHED.name in listening.take(payload, "SPAT", "csae53_2020") for _ in range(50)
    )
    assert taken == 20
    assert listening.reasons == {("pushed:k", "rate_exceeded"): 30}


def test_a_crowd_of_radios_does_not_shut_the_centre_out(
    ear: Listen, spat: Any, frame: Any, csae: Any
) -> None:
    listening = ear(senders_max=1)
    for name in ("00000000000000a1", "00000000000000a2"):
        listening.hear(dsmp.build(111, frame("csae157_2020", "BSM", csae(name=name))))
    assert listening.reasons == {("message:BSM", "too_many_senders"): 1}
    assert SIGNAL_PUSHED.name in listening.take(spat(), "SPAT", "csae53_2020")


def test_a_centres_word_needs_no_signature_of_a_radio(ear: Listen, spat: Any) -> None:
    listening = ear(use_unverified=False)
    assert SIGNAL_PUSHED.name in listening.take(spat(), "SPAT", "csae53_2020")
