"""Field devices of a simulated site in lock-step: on-board units, bay sensors, weather, GNSS.

Models look at the world, emulators write what they see as the octets of the real wire, and the
unit's own decoders read these at their arrival, in virtual time. Nothing is opened: brokers,
sockets and serial lines are left out, so that any number of runs may go on at once. On-board units
are read by nobody here: what the radio would hear goes on `v2x/rx` as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from rsu.config.environment import MqttEnvironmentOptions
from rsu.config.gnss import NmeaOptions
from rsu.config.parking import BayMqttOptions
from rsu.config.place import PlaceOptions
from rsu.config.simulation import ObuOptions
from rsu.hal.environment.json_readings import EnvironmentReadings
from rsu.hal.gnss.nmea_decoder import NmeaDecoder
from rsu.hal.parking.bay_readings import BayReadings
from rsu.schema.message import Message
from rsu.schema.sensing import SensorKind
from rsu.schema.topics import BAY_READING, ENVIRONMENT, GNSS_FIX, V2X_RX
from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant
from rsu.schema.v2x import ReceivedV2x
from rsu.sim.devices import Arrival
from rsu.sim.emulators import obu
from rsu.sim.emulators.bays_mqtt import TOPIC as BAYS
from rsu.sim.emulators.bays_mqtt import write_bay
from rsu.sim.emulators.environment_mqtt import write_environment
from rsu.sim.emulators.nmea import write_nmea
from rsu.sim.sensors.bays import ModelledBays
from rsu.sim.sensors.environment import ModelledEnvironment
from rsu.sim.sensors.gnss import ModelledGnss
from rsu.sim.world.scene import stream
from rsu.sim.world.world import World
from rsu.site.lanes import SiteMap

AIR = "air"
"""Radio by which on-board units are heard (`ReceivedV2x.radio`)."""
AIR_PERIOD_NS = 50 * NS_PER_MS
"""How often on-board units are asked: each speaks every 100 ms, at one of two phases."""
BAYS_PERIOD_NS = 500 * NS_PER_MS
"""Sensors look every few seconds; what they say is put on the wire within this."""
GATEWAY_NS = 200 * NS_PER_MS
"""From a sensor to the unit, over its gateway and the broker (assumed)."""
STATION_PERIOD_NS = NS_PER_S
"""A station that warns of water or fog; those for climate report every minute (assumed)."""


class ObuDevice:
    """All on-board units around: what the unit's radio hears of them.

    Its health is none: silence on the air is no fault. Each datagram is lost alone, with
    `ObuOptions.loss`.
    """

    kind: SensorKind | None = SensorKind.V2X
    period_ns = AIR_PERIOD_NS
    phase_ns = 0
    id = AIR

    def __init__(
        self, options: ObuOptions, place: PlaceOptions, site_map: SiteMap, seed: int
    ) -> None:
        units = obu.ObuOptions(share=options.share, worlds=options.worlds)
        self._units = obu.Obus(site_map, seed, units, place.region, place.intersection)
        self._loss = options.loss
        self._luck = stream(seed, "air")
        self._latency_ns = max(round(options.latency_s * NS_PER_S), NS_PER_MS)

    def look(self, world: World, time_ns: int) -> Iterable[Arrival]:
        arrival_ns = time_ns + self._latency_ns
        for datagram in self._units.look(world.scene(time_ns)):
            if self._luck.random() < self._loss:
                continue
            heard = ReceivedV2x(radio=AIR, capture_ns=arrival_ns, payload=datagram.octets)
            yield arrival_ns, Message.draft(V2X_RX, AIR, arrival_ns, heard)

    def close(self) -> None:
        """Nothing is open."""


class BayDevice:
    """Bay sensors behind a gateway: the emulator's documents, read by the site file's mapping."""

    kind: SensorKind | None = SensorKind.PARKING
    period_ns = BAYS_PERIOD_NS
    phase_ns = 0

    def __init__(self, options: BayMqttOptions, site_map: SiteMap, seed: int) -> None:
        self.id = options.id
        names = {bay: name for name, bay in (options.bays or {}).items()}
        # Sensors lie in the bays that the site file names, else in all.
        bays = [bay for bay in site_map.bays if not names or bay.id in names]
        self._names = names
        self._model = ModelledBays(options.id, bays, stream(seed, f"bays/{options.id}"))
        self.dropped: Counter[str] = Counter()
        self._reader = BayReadings(options, self.dropped)

    def look(self, world: World, time_ns: int) -> Iterable[Arrival]:
        arrival_ns = time_ns + GATEWAY_NS
        now = Instant(arrival_ns, arrival_ns)
        for said in self._model.look(world.scene(time_ns)):
            topic = f"{BAYS}/{self._names.get(said.bay, said.bay)}/state"
            for fact in self._reader.document(topic, write_bay(said), now):
                yield arrival_ns, Message.draft(BAY_READING, self.id, fact.capture_ns, fact)

    def close(self) -> None:
        """Nothing is open."""


class StationDevice:
    """A weather station with a water gauge on each lane that the site file names."""

    kind: SensorKind | None = SensorKind.ENVIRONMENT
    period_ns = STATION_PERIOD_NS
    phase_ns = 0

    def __init__(self, options: MqttEnvironmentOptions, road_temperature: float, seed: int) -> None:
        self.id = options.id
        lanes = dict.fromkeys(one.lane for one in options.mapping.quantities if one.lane)
        self._model = ModelledEnvironment(
            options.id, stream(seed, f"weather/{options.id}"), tuple(lanes), road_temperature
        )
        self.dropped: Counter[str] = Counter()
        self._reader = EnvironmentReadings(options, self.dropped)

    def look(self, world: World, time_ns: int) -> Iterable[Arrival]:
        arrival_ns = time_ns + GATEWAY_NS
        octets = write_environment(self._model.look(world.scene(time_ns)))
        for fact in self._reader.document(octets, Instant(arrival_ns, arrival_ns)):
            yield arrival_ns, Message.draft(ENVIRONMENT, self.id, fact.capture_ns, fact)

    def close(self) -> None:
        """Nothing is open."""


class GnssDevice:
    """The unit's receiver, at the site's origin: sentences of every whole second."""

    kind: SensorKind | None = SensorKind.GNSS
    period_ns = NS_PER_S

    def __init__(self, options: NmeaOptions, site_map: SiteMap, seed: int, start_ns: int) -> None:
        self.id = options.id
        self.phase_ns = -start_ns % NS_PER_S
        self._model = ModelledGnss(
            options.id, site_map.frame, (0.0, 0.0, 0.0), stream(seed, f"gnss/{options.id}")
        )
        self._options = options
        self.dropped: Counter[str] = Counter()
        self._reader = NmeaDecoder(options, self.dropped)

    def look(self, _world: World, time_ns: int) -> Iterable[Arrival]:
        arrival_ns = time_ns + round(self._options.latency_s * NS_PER_S)
        octets = write_nmea(self._model.look(time_ns), gst=self._options.gst)
        for fact in self._reader.octets(octets, Instant(arrival_ns, arrival_ns)):
            yield arrival_ns, Message.draft(GNSS_FIX, self.id, fact.capture_ns, fact)

    def close(self) -> None:
        """Nothing is open."""
