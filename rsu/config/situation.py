"""Section `situation`: what the scene means. Defaults are explained in docs/situation.md."""

from rsu.config.base import Options


class TrafficOptions(Options):
    """Traffic state per lane."""


class ParkingOptions(Options):
    """States of parking bays."""


class EventOptions(Options):
    """Road events."""


class WarningOptions(Options):
    """Warnings of conflicts ahead."""


class SituationOptions(Options):
    """Traffic, parking, events and warnings."""

    traffic: TrafficOptions = TrafficOptions()
    parking: ParkingOptions = ParkingOptions()
    events: EventOptions = EventOptions()
    warnings: WarningOptions = WarningOptions()
