"""What the tests of hearing share: contents of messages, frames, and a stage that listens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rsu.config.v2x_receive import ReceiveOptions
from rsu.schema.message import Message
from rsu.schema.topics import V2X_PUSHED, V2X_RX
from rsu.schema.units import NS_PER_S, Instant
from rsu.schema.v2x import PushedV2x, ReceivedV2x
from rsu.site.geodesy import LocalFrame
from rsu.v2x.codec import codec_for
from rsu.v2x.receive.stage import ReceiveStage
from rsu.v2x.unit import Unit

HEARD_NS = 1_750_000_000 * NS_PER_S  # 40 s into its minute
ORIGIN = (31.2304, 121.4737)


class Ear:
    """A stage and what it said, by topic; `reasons`: decisions as (subject, reason) → count."""

    def __init__(self, unit: Unit, **options: Any) -> None:
        self.stage = ReceiveStage(ReceiveOptions(**options), unit, Instant(HEARD_NS, 0))
        self.now = Instant(HEARD_NS + 10_000_000, 10_000_000)
        self.reasons: dict[tuple[str, str], int] = {}

    def hear(self, payload: bytes, heard_ns: int = HEARD_NS) -> dict[str, list[Any]]:
        heard = ReceivedV2x(radio="obu", capture_ns=heard_ns, payload=payload)
        return self.give(Message.draft(V2X_RX, "obu", heard_ns, heard))

    def take(self, payload: bytes, message: str, profile: str, **changes: Any) -> Any:
        """A centre pushes a message."""
        values: dict[str, Any] = {
            "key": "k", "received_ns": HEARD_NS, "until_ns": HEARD_NS + NS_PER_S, **changes
        }  # fmt: skip
        pushed = PushedV2x(profile=profile, message=message, payload=payload, **values)
        return self.give(Message.draft(V2X_PUSHED, "uplink", HEARD_NS, pushed))

    def give(self, message: Message) -> dict[str, list[Any]]:
        out: dict[str, list[Any]] = {}
        for said in self.stage.handle(message, self.now):
            assert said.topic in self.stage.outputs
            out.setdefault(said.topic.name, []).append(said.payload)
        later = Instant(self.now.utc_ns, self.now.mono_ns + 1_000_000_000)
        for decision in [*out.pop("decision", []), *(m.payload for m in self.stage.tick(later))]:
            key = (decision.subject, decision.reason)
            self.reasons[key] = self.reasons.get(key, 0) + decision.count
        return out


@pytest.fixture
def ear(unit: Callable[..., Unit]) -> Callable[..., Ear]:
    """Makes a listening stage; keywords are receive options, `at` the unit."""

    def make(at: Unit | None = None, **options: Any) -> Ear:
        return Ear(at or unit(), **options)

    return make


@pytest.fixture(scope="session")
def heard_ns() -> int:
    """When everything is heard, 40 s into its minute."""
    return HEARD_NS


@pytest.fixture(scope="session")
def frame() -> Callable[[str, str, Any], bytes]:
    """`frame(profile, message, content)`: the octets of a message frame."""

    def encode(profile: str, message: str, content: Any) -> bytes:
        codec = codec_for(profile)
        return codec.encode(codec.frame(message, content))

    return encode


@pytest.fixture(scope="session")
def csae() -> Callable[..., dict[str, Any]]:
    """BSM of a car `north_m` north of the origin that drives north-east at 10 m/s."""
    at = LocalFrame(*ORIGIN, 12.0)

    def content(
        *,
        name: str = "00000000000000a1",
        second: int = 39_900,
        north_m: float = 0.0,
        **changes: Any,
    ) -> dict[str, Any]:
        lat, lon, _ = at.to_geodetic(0.0, north_m)
        stated: dict[str, Any] = {
            "msgCnt": 1, "id": name, "secMark": second,
            "pos": {"lat": round(lat * 1e7), "long": round(lon * 1e7)},
            "posConfidence": {"pos": "a1m"}, "transmission": "forwardGears", "speed": 500,
            "heading": 45 * 80, "motionCfd": {"speedCfd": "prec0-1ms", "headingCfd": "prec01deg"},
            "accelSet": {"long": 0, "lat": 0, "vert": 0, "yaw": 0}, "brakes": {},
            "size": {"width": 180, "length": 450, "height": 30},
            "vehicleClass": {"classification": 10},
        }  # fmt: skip
        return {**stated, **changes}

    return content


@pytest.fixture(scope="session")
def sae() -> Callable[..., dict[str, Any]]:
    """BSM of a 12 m vehicle at the origin that drives north at 10 m/s."""

    def content(**changes: Any) -> dict[str, Any]:
        core: dict[str, Any] = {
            "msgCnt": 1, "id": "0a0b0c0d", "secMark": 39_900, "lat": round(ORIGIN[0] * 1e7),
            "long": round(ORIGIN[1] * 1e7), "elev": 120,
            "accuracy": {"semiMajor": 40, "semiMinor": 20, "orientation": 0},
            "transmission": "forwardGears", "speed": 500, "heading": 0, "angle": 0,
            "accelSet": {"long": 0, "lat": 0, "vert": 0, "yaw": 0},
            "brakes": {"wheelBrakes": {"bits": "00000"}, "traction": "off", "abs": "off",
                       "scs": "off", "brakeBoost": "off", "auxBrakes": "off"},
            "size": {"width": 200, "length": 1200},
        }  # fmt: skip
        return {"coreData": {**core, **changes}}

    return content
