"""How the unit and its sensors are, and why something was (not) said.

Filled by drivers, hosts and every stage; read by the V2X policy, the status socket, the uplink and
`rsu explain`.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from rsu.schema.sensing import SensorKind
from rsu.schema.units import Vec2


class SensorState(StrEnum):
    STARTING = "starting"
    LIVE = "live"
    LATE = "late"
    FROZEN = "frozen"
    BLIND = "blind"
    SHIFTED = "shifted"
    GONE = "gone"
    ENDED = "ended"  # a recorded source has reached its end: nothing is wrong


class SensorHealth(msgspec.Struct, frozen=True, kw_only=True):
    """State of one sensor since `since_ns`; counters are totals since the driver's start."""

    sensor: str
    kind: SensorKind
    state: SensorState
    since_ns: int
    time_ns: int
    detail: str = ""
    received: int = 0
    dropped: dict[str, int] = {}
    reconnects: int = 0


class SensorAlarmKind(StrEnum):
    """In what two sensors disagree, or (`position`) a GNSS receiver and the site file."""

    CALIBRATION = "calibration"
    CLOCK = "clock"
    POSITION = "position"


class SensorAlarm(msgspec.Struct, frozen=True, kw_only=True):
    """Two sensors contradict each other since `since_ns`, or no longer (`active` false).

    `shift` (m, site frame) is where `sensor` puts things against where `against` puts them,
    `shift_std` its deviation, stated standing errors included; `offset` (s) is how much earlier
    `sensor` stamps than `against`. `suspect` is the sensor that alone explains all alarms of this
    kind, since it contradicts two others; None: either may be wrong. Nothing was corrected.
    """

    kind: SensorAlarmKind
    sensor: str
    against: str
    active: bool
    since_ns: int
    time_ns: int
    shift: Vec2
    shift_std: float
    offset: float
    offset_std: float
    suspect: str | None = None


class ClockQuality(StrEnum):
    LOCKED = "locked"
    HOLDOVER = "holdover"
    UNSYNCHRONISED = "unsynchronised"


class Capability(StrEnum):
    """What the unit can still perceive, derived from its sensors."""

    FULL = "full"
    CAMERA_ONLY = "camera-only"
    RADAR_ONLY = "radar-only"
    SIGNALS_ONLY = "signals-only"
    BLIND = "blind"


class ProcessHealth(msgspec.Struct, frozen=True, kw_only=True):
    """One process of the unit as its supervisor sees it."""

    name: str
    state: str
    pid: int | None
    restarts: int
    heartbeat_ns: int | None


class ClockSource(msgspec.Struct, frozen=True, kw_only=True):
    """What disciplines the clock: its address and how far that is from a primary clock; how far our
    clock is from it (s, with chrony's sign), how wrong that can be (s); its word on leap seconds.
    """

    reference: str
    stratum: int
    offset: float
    uncertainty: float
    leap: str


class UnitHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The whole unit, about once a second; `alarms` are those between its sensors that stand.

    `shed_level` is how much load is being shed, 0 none, and `shed_reason` why
    (`rsu.runtime.load_shedding`); `clock_source` None: nobody tells.
    """

    time_ns: int
    clock: ClockQuality
    capability: Capability
    processes: tuple[ProcessHealth, ...] = ()
    alarms: tuple[SensorAlarm, ...] = ()
    shed_level: int = 0
    shed_reason: str = ""
    clock_source: ClockSource | None = None


class ModemSignal(msgspec.Struct, frozen=True, kw_only=True):
    """What the mobile modem measures (3GPP TS 36.214, 38.215); None: it does not say."""

    technology: str  # lte, 5g
    rsrp_dbm: float | None
    rsrq_db: float | None
    snr_db: float | None


class LinkHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The connection to the platform; None: unknown.

    `rtt_s` is the median from a report's publication to its acknowledgement over the last two
    minutes, `rtt_max_s` the longest; `network_rtt_s` TCP's own; `resent` the share of octets sent
    more than once on this connection. `modem_unknown` says why there is no `modem`.
    """

    time_ns: int
    connected: bool
    failure: str | None
    connections: int
    connected_s: float | None
    rtt_s: float | None
    rtt_max_s: float | None
    network_rtt_s: float | None
    resent: float | None
    sent_bytes: int
    received_bytes: int
    modem: ModemSignal | None = None
    modem_unknown: str = ""


class Verdict(StrEnum):
    SENT = "sent"
    WITHHELD = "withheld"
    DROPPED = "dropped"


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Why something was or was not said: one line of the decision trace.

    `stage` took it; `subject` names what it is about (`track:17`, `message:RSM`, `sensor:north`);
    `reason` is a stable code in snake_case listed in docs/decisions.md; `count` merges repeats.
    """

    stage: str
    subject: str
    verdict: Verdict
    reason: str
    time_ns: int
    count: int = 1
    detail: str = ""


class MetricKind(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One number, named and labelled as Prometheus wants it; counters only ever grow."""

    name: str
    kind: MetricKind
    value: float
    labels: dict[str, str] = {}


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """All numbers of one process, about once a second."""

    process: str
    time_ns: int
    samples: tuple[Metric, ...]
