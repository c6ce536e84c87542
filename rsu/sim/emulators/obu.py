"""On-board units on the wire: vehicles of a scene in, datagrams with BSM, SRM and VIR out.

Every equipped vehicle says of itself what its receiver believes (`PositionError`), with the
accuracy that this receiver really has, in UPER behind the network header of its world: DSMP for
T/CSAE, WSMP for SAE. Vehicles that ask for priority send VIR or SRM until they are past the stop
line, then take it back. `Obus` is deterministic and does no I/O; `UdpAir` carries its datagrams.
Not played: changes of the temporary id, signatures, brakes and acceleration (stated as unknown).
"""

from __future__ import annotations

import math
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from rsu.schema.sensing import ObjectClass
from rsu.schema.units import NS_PER_MS, NS_PER_S, Cov2
from rsu.sim.errors import SimulationError
from rsu.sim.sensors.gnss import VEHICLE, GnssErrors, PositionError
from rsu.sim.world.scene import Asking, Scene, stream
from rsu.site.geodesy import compass_degrees
from rsu.site.lanes import SiteMap
from rsu.v2x import time
from rsu.v2x.codec import codec_for
from rsu.v2x.csae import units as csae
from rsu.v2x.map.sae import lane_numbers, lanes_said
from rsu.v2x.network import dsmp, wsmp
from rsu.v2x.sae import units as sae
from rsu.v2x.sae.psids import PSIDS

Content = dict[str, Any]
World = Literal["csae", "sae"]

BSM_PERIOD_NS = 100 * NS_PER_MS
"""10 Hz, the rate of both worlds without congestion control."""
REQUEST_PERIOD_NS = NS_PER_S
"""A request is repeated as long as it holds (once a second; assumed)."""
AID_BSM, AID_BSM_SPECIAL = 111, 113
"""Periodic BSM of ordinary and of special vehicles (facts: csae.md 5.1)."""
AID_VIR = 3624
"""No identifier of VIR is known: that of tests from vehicles."""
PSID_SRM = 0x204096
"""Not verified in any public source; receivers take the message by its content."""
TIME_OFFSET_NS, TIME_OFFSET_MOST = 10 * NS_PER_MS, 65_535
"""TimeOffset, 10 ms, 1..65535."""
_VEHICLE_CLASS = {
    ObjectClass.CAR: 10, ObjectClass.VAN: 20, ObjectClass.TRUCK: 25, ObjectClass.MOTORCYCLE: 40,
    ObjectClass.BUS: 50,
}  # fmt: skip
_ROLES = {"emergency": "emergency", "bus-line": "transit"}
_COUNTS = 128
_UNKNOWN_BRAKES = {
    "wheelBrakes": {"bits": "10000"}, "traction": "unavailable", "abs": "unavailable",
    "scs": "unavailable", "brakeBoost": "unavailable", "auxBrakes": "unavailable",
}  # fmt: skip
_UNKNOWN_ACCELERATION = {"long": 2001, "lat": 2001, "vert": -127, "yaw": 0}
"""Yaw rate has no such value; 0 is what the standards' own examples put."""
_UNKNOWN_ANGLE = 127


@dataclass(frozen=True, slots=True)
class ObuOptions:
    """Which vehicles speak, what, and how well they know where they are."""

    share: float = 1.0
    """Of motor vehicles that are equipped, 0..1. Those with a role always are."""
    worlds: tuple[World, ...] = ("csae", "sae")
    """What an equipped vehicle speaks; with both it is heard twice, under two names."""
    gnss: GnssErrors = VEHICLE
    speed_std: float = 0.1
    """m/s (wheel sensors and Doppler; assumed)."""
    heading_std: float = 1.0
    """Degrees, in motion (assumed)."""


@dataclass(frozen=True, slots=True)
class Datagram:
    """What an on-board unit sends: `octets` with the network header; `vehicle` is the scene's."""

    vehicle: int
    time_ns: int
    world: World
    message: str
    octets: bytes


@dataclass(slots=True)
class _Unit:
    """One on-board unit."""

    name: bytes
    equipped: bool
    position: PositionError
    rng: np.random.Generator
    next_ns: int
    counts: dict[str, int] = field(default_factory=dict)
    heading: float | None = None
    asked_ns: int | None = None
    done: bool = False

    def count(self, message: str) -> int:
        number = self.counts.get(message, 0)
        self.counts[message] = (number + 1) % _COUNTS
        return number


@dataclass(frozen=True, slots=True)
class _State:
    """What a vehicle believes of itself."""

    time_ns: int
    latitude: float
    longitude: float
    altitude: float
    cov: Cov2
    speed: float
    heading: float  # degrees clockwise from north
    length: float
    width: float
    height: float
    vehicle_class: int


class Obus:
    """All on-board units of a site; `region` and `intersection` are those of its map."""

    def __init__(
        self,
        site_map: SiteMap,
        seed: int,
        options: ObuOptions = ObuOptions(),
        region: int = 0,
        intersection: int = 0,
    ) -> None:
        self._map, self._seed, self._options = site_map, seed, options
        self._place = sae.intersection(region, intersection)
        self._node = {"region": region, "id": intersection}
        self._units: dict[int, _Unit] = {}
        self._numbers = lane_numbers(lanes_said(site_map))
        self._csae, self._sae = codec_for("csae157_2020"), codec_for("j2735_2024")

    def look(self, scene: Scene) -> list[Datagram]:
        """What is due at the scene's time. Each vehicle speaks every 100 ms at its own phase, so
        call it at least as often; called every 100 ms, all speak at once."""
        out: list[Datagram] = []
        due: list[tuple[int, _Unit]] = []
        present = set(scene.ids)
        for key in [key for key in self._units if key not in present]:
            del self._units[key]
        roles = scene.roles or ("",) * len(scene.ids)
        for index, key in enumerate(scene.ids):
            if not scene.classes[index].is_motor:
                continue
            unit = self._units.get(key)
            if unit is None:
                unit = self._units[key] = self._boarded(key, roles[index], scene.time_ns)
            if not unit.equipped or scene.time_ns < unit.next_ns:
                continue
            while unit.next_ns <= scene.time_ns:
                unit.next_ns += BSM_PERIOD_NS
            due.append((index, unit))
        if not due:
            return out
        errors = np.array([unit.position.at(scene.time_ns) for _, unit in due])
        believed = scene.position[[index for index, _ in due]] + errors[:, :2]
        # All at once: a conversion of one point costs as much as one of a hundred.
        degrees = self._map.frame.to_geodetic(believed[:, 0], believed[:, 1], errors[:, 2])
        for (index, unit), place in zip(due, np.transpose(degrees).tolist(), strict=True):
            key, role = scene.ids[index], roles[index]
            state = self._state(unit, scene, index, role, place)
            out += self._datagrams(unit, key, state, role, scene.asking.get(key))
        return out

    def _boarded(self, key: int, role: str, now_ns: int) -> _Unit:
        rng = stream(self._seed, f"obu/{key}")  # its own: who comes changes nobody else's noise
        name = rng.integers(0, 256, 8, dtype=np.uint8).tobytes()
        equipped = bool(rng.random() < self._options.share) or bool(role)
        phase_ns = int(rng.integers(BSM_PERIOD_NS))
        error = PositionError(self._options.gnss, rng)
        # The first moment of its phase from now on.
        return _Unit(name, equipped, error, rng, now_ns + (phase_ns - now_ns) % BSM_PERIOD_NS)

    def _state(
        self, unit: _Unit, scene: Scene, index: int, role: str, place: list[float]
    ) -> _State:
        options = self._options
        latitude, longitude, altitude = place
        speed_error, heading_error = unit.rng.standard_normal(2).tolist()
        true_speed = float(scene.speed[index])
        if unit.heading is None or true_speed > 1.0:
            # A standing vehicle keeps the last heading that motion gave it.
            degrees = compass_degrees(float(scene.heading[index]))
            unit.heading = (degrees + options.heading_std * heading_error) % 360.0
        length, width, height = scene.size[index].tolist()
        variance = options.gnss.std**2
        kind = 60 if role == "emergency" else _VEHICLE_CLASS[scene.classes[index]]
        return _State(
            time_ns=scene.time_ns,
            latitude=latitude,
            longitude=longitude,
            altitude=altitude,
            cov=Cov2(variance, 0.0, variance),
            speed=max(0.0, true_speed + options.speed_std * speed_error) if true_speed else 0.0,
            heading=unit.heading,
            length=length,
            width=width,
            height=height,
            vehicle_class=kind,
        )

    # --- messages ---------------------------------------------------------------------------------

    def _datagrams(
        self, unit: _Unit, key: int, state: _State, role: str, asking: Asking | None
    ) -> Iterable[Datagram]:
        if "csae" in self._options.worlds:
            aid = AID_BSM_SPECIAL if role else AID_BSM
            yield self._csae_datagram(key, state, "BSM", self._csae_bsm(unit, state), aid)
        if "sae" in self._options.worlds:
            content = self._sae_bsm(unit, state)
            yield self._sae_datagram(key, state, "BSM", content, PSIDS["BSM"])
        if asking is None or unit.done:
            return
        over = asking.ahead <= 0.0
        due = unit.asked_ns is None or state.time_ns - unit.asked_ns >= REQUEST_PERIOD_NS
        if not (due or over) or (over and unit.asked_ns is None):
            return
        first = unit.asked_ns is None
        unit.asked_ns, unit.done = state.time_ns, over
        if asking.how in ("vir", "both"):
            yield self._csae_datagram(
                key, state, "VIR", self._vir(unit, state, asking, over=over), AID_VIR
            )
        if asking.how in ("srm", "both"):
            kind = "priorityRequest" if first else "priorityRequestUpdate"
            content = self._srm(unit, state, asking, role, "priorityCancellation" if over else kind)
            yield self._sae_datagram(key, state, "SRM", content, PSID_SRM)

    def _csae_bsm(self, unit: _Unit, state: _State) -> Content:
        return {
            "msgCnt": unit.count("csae/BSM"),
            "id": unit.name.hex(),
            "secMark": time.dsecond(state.time_ns),
            "pos": self._csae_position(state),
            "posAccuracy": sae.accuracy(state.cov),
            "posConfidence": {"pos": csae.position_confidence(state.cov)},
            "transmission": "forwardGears",
            "speed": csae.speed(state.speed),
            "heading": csae.heading(state.heading),
            "motionCfd": {
                "speedCfd": csae.speed_confidence(self._options.speed_std),
                "headingCfd": csae.heading_confidence(math.radians(self._options.heading_std)),
            },
            "accelSet": dict(_UNKNOWN_ACCELERATION),
            "brakes": {},
            "size": {
                "width": csae.width(state.width),
                "length": csae.length(state.length),
                "height": csae.height(state.height),
            },
            "vehicleClass": {"classification": state.vehicle_class},
        }

    def _sae_bsm(self, unit: _Unit, state: _State) -> Content:
        core = {
            "msgCnt": unit.count("sae/BSM"),
            "id": unit.name[:4].hex(),
            "secMark": time.dsecond(state.time_ns),
            "lat": sae.latitude(state.latitude),
            "long": sae.longitude(state.longitude),
            "elev": sae.elevation(state.altitude),
            "accuracy": sae.accuracy(state.cov),
            "transmission": "forwardGears",
            "speed": sae.speed(state.speed),
            "heading": sae.heading(state.heading),
            "angle": _UNKNOWN_ANGLE,
            "accelSet": dict(_UNKNOWN_ACCELERATION),
            "brakes": dict(_UNKNOWN_BRAKES),
            "size": {
                "width": sae.vehicle_width(state.width),
                "length": sae.vehicle_length(state.length),
            },
        }
        more = {"SupplementalVehicleExtensions": {"classification": state.vehicle_class}}
        return {"coreData": core, "partII": [{"partII-Id": 2, "partII-Value": more}]}

    def _srm(self, unit: _Unit, state: _State, asking: Asking, role: str, kind: str) -> Content:
        arrival_ns = state.time_ns + _until_stop_line(asking, state)
        request: Content = {
            "id": self._place,
            "requestID": 1,
            "requestType": kind,
            "inBoundLane": {"lane": self._numbers[asking.inbound]},
        }
        if asking.outbound in self._numbers:
            request["outBoundLane"] = {"lane": self._numbers[asking.outbound]}
        return {
            "timeStamp": time.minute_of_year(state.time_ns),
            "second": time.dsecond(state.time_ns),
            "sequenceNumber": unit.count("sae/SRM"),
            "requests": [
                {
                    "request": request,
                    "minute": time.minute_of_year(arrival_ns),
                    "second": time.dsecond(arrival_ns),
                }
            ],
            "requestor": {
                "id": {"entityID": unit.name[:4].hex()},
                "type": {"role": _ROLES.get(role, "basicVehicle")},
            },
        }

    def _vir(self, unit: _Unit, state: _State, asking: Asking, *, over: bool) -> Content:
        inbound, outbound = self._map.lane(asking.inbound), self._map.lane(asking.outbound)
        position = self._csae_position(state)
        here: Content = {"pos": {"offsetLL": {"position-LL1": {"lon": 0, "lat": 0}}}}
        region = self._node["region"]
        if inbound.upstream_node is not None and inbound.downstream_node is not None:
            link: Content = {
                "upstreamNodeId": {"region": region, "id": inbound.upstream_node},
                "downstreamNodeId": {"region": region, "id": inbound.downstream_node},
            }
            if inbound.lane_id is not None and 1 <= inbound.lane_id <= 15:
                bits = "".join("01"[bit == inbound.lane_id] for bit in range(16))
                link["referenceLanes"] = {"bits": bits}
            here["posInMap"] = link
        wanted: Content = {
            "intersectionId": dict(self._node),
            "requiredMov": {
                "remoteIntersection": {"region": region, "id": outbound.downstream_node or 0}
            },
        }
        if not over:
            arrival = _until_stop_line(asking, state) // TIME_OFFSET_NS
            wanted["estimatedArrivalTime"] = min(max(arrival, 1), TIME_OFFSET_MOST)
        request = {
            "reqID": 1,
            "status": "complete" if over else "request",
            "info": {"signalPriority": wanted},
        }
        return {
            "msgCnt": unit.count("csae/VIR"),
            "id": unit.name.hex(),
            "secMark": time.dsecond(state.time_ns),
            "refPos": position,
            "intAndReq": {"currentPos": here, "reqs": [request]},
        }

    def _csae_position(self, state: _State) -> Content:
        return {
            "lat": csae.latitude(state.latitude),
            "long": csae.longitude(state.longitude),
            "elevation": csae.elevation(state.altitude),
        }

    def _csae_datagram(
        self, key: int, state: _State, name: str, content: Content, aid: int
    ) -> Datagram:
        payload = self._csae.encode(self._csae.frame(name, content))
        return Datagram(key, state.time_ns, "csae", name, dsmp.build(aid, payload))

    def _sae_datagram(
        self, key: int, state: _State, name: str, content: Content, psid: int
    ) -> Datagram:
        payload = self._sae.encode(self._sae.frame(name, content))
        return Datagram(key, state.time_ns, "sae", name, wsmp.build(psid, payload))


def _until_stop_line(asking: Asking, state: _State) -> int:
    """ns, at the present speed but no slower than a walk, so that there is an end."""
    return round(max(asking.ahead, 0.0) / max(state.speed, 1.5) * NS_PER_S)


class UdpAir:
    """The air between vehicles and the unit's radio, by UDP to the radio driver's port."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._socket: socket.socket | None = None

    def open(self) -> None:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def send(self, datagrams: Iterable[Datagram]) -> None:
        """Send; raises SimulationError where the system refuses. Nobody needs to listen."""
        if self._socket is None:
            raise SimulationError("the air is not open")
        for datagram in datagrams:
            try:
                self._socket.sendto(datagram.octets, self._to)
            except OSError as error:
                raise SimulationError(f"no datagram to {self._to}: {error}") from error

    def close(self) -> None:
        opened, self._socket = self._socket, None
        if opened is not None:
            opened.close()
