"""The condition of the unit as a whole: its clock, what it can perceive, how much load it sheds.

In: what the host hears on the bus, and once a second the kernel's and the machine's numbers. Out:
`UnitHealth`, and messages about what has just changed (alarms, decisions).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import structlog

from rsu.config.model import SiteConfig
from rsu.runtime.capability import capability_of
from rsu.runtime.clock import ClockMonitor, kernel_clock_synchronised
from rsu.runtime.load_shedding import LoadShedder, hottest, load_per_core
from rsu.runtime.position_watch import PositionWatch
from rsu.runtime.time_source import TimeSource
from rsu.schema.health import (
    ClockQuality,
    Decision,
    ProcessHealth,
    SensorAlarm,
    SensorHealth,
    UnitHealth,
    Verdict,
)
from rsu.schema.message import Message
from rsu.schema.sensing import SensorKind
from rsu.schema.topics import DECISION, GNSS_FIX, SENSOR_ALARM, V2X_TX
from rsu.schema.units import NS_PER_MS, Instant

ROAD_USER_MESSAGES = frozenset({"RSM", "SDSM", "PSM", "BSM"})
"""Messages whose age counts: they go out because something was seen."""


class Condition:
    """Of one unit; its host owns it."""

    def __init__(self, config: SiteConfig, sensors: Mapping[str, SensorKind]) -> None:
        self._sensors = sensors
        self._clock = ClockMonitor()
        self._source = TimeSource()
        self._site = config.site
        self._position = PositionWatch(config.site)
        self._shedder = LoadShedder(config.runtime.shed)
        self._age_ms = 0.0  # of the oldest message of this second
        self._quality: ClockQuality | None = None
        self._log = structlog.get_logger()

    def follow(self, config: SiteConfig, sensors: Mapping[str, SensorKind]) -> None:
        """The configuration has changed."""
        self._sensors = sensors
        self._shedder.options = config.runtime.shed
        if config.site != self._site:
            self._site, self._position = config.site, PositionWatch(config.site)

    @property
    def numbers(self) -> dict[str, float]:
        """For metrics: gauges, and totals (`…_total`)."""
        return {
            "shed_level": self._shedder.level,
            "shed_steps_total": self._shedder.steps,
            "clock_steps_total": self._clock.steps,
        }

    def take(self, message: Message, now: Instant) -> Iterable[Message]:
        """Notice one message; what follows from it."""
        if message.topic == GNSS_FIX:
            for alarm in self._position.take(message.payload, now):
                self._log.warning(
                    "position", receiver=alarm.sensor, active=alarm.active,
                    east=round(alarm.shift.x), north=round(alarm.shift.y),
                )  # fmt: skip
                yield Message.draft(SENSOR_ALARM, "unit", now.utc_ns, alarm)
        elif message.topic == V2X_TX and message.payload.message in ROAD_USER_MESSAGES:
            age_ns = message.header.publish_ns - message.payload.time_ns
            self._age_ms = max(self._age_ms, age_ns / NS_PER_MS)

    def second(self, now: Instant) -> Iterable[Message]:
        """Once a second, before `health`."""
        age_ms, self._age_ms = self._age_ms, 0.0
        before = self._shedder.level
        if not self._shedder.update(
            now, age_ms=age_ms, load=load_per_core(), temperature=hottest()
        ):
            return
        level, more = self._shedder.level, self._shedder.level > before
        self._log.warning(
            "load shed" if more else "load restored",
            shed_level=level,
            reason=self._shedder.reason,
        )
        decision = Decision(
            stage="unit", subject="unit", verdict=Verdict.WITHHELD if more else Verdict.SENT,
            reason="load_shed" if more else "load_restored", time_ns=now.utc_ns,
            detail=f"level {level}: {self._shedder.reason}" if level else "level 0",
        )  # fmt: skip
        yield Message.draft(DECISION, "unit", now.utc_ns, decision)

    def health(
        self,
        now: Instant,
        reports: Mapping[str, SensorHealth],
        alarms: tuple[SensorAlarm, ...],
        processes: tuple[ProcessHealth, ...],
    ) -> UnitHealth:
        """The unit's health now."""
        quality = self._clock.update(now, synchronised=kernel_clock_synchronised())
        if quality is not self._quality:
            if self._quality is not None:
                self._log.warning("clock", was=self._quality, now=quality)
            self._quality = quality
        return UnitHealth(
            time_ns=now.utc_ns,
            clock=quality,
            capability=capability_of(self._sensors, reports, now.utc_ns, alarms),
            processes=processes,
            alarms=alarms,
            shed_level=self._shedder.level,
            shed_reason=self._shedder.reason,
            clock_source=self._source.newest,
        )

    def close(self) -> None:
        """End what asks chrony."""
        self._source.close()
