"""What every profile is: news and frames in, statements out.

`News` is what the unit has to say, decided once for all profiles by the report stage, as our own
documents (docs/uplink.md). `V2xFrame` is what is said on the air. A `Statement` is one publication;
the stage gives it its id and queues it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

from rsu.schema.machine import MachineLoad
from rsu.schema.reports import JSON, Priority
from rsu.schema.units import NS_PER_S, Instant
from rsu.schema.v2x import ReceivedV2x, V2xFrame
from rsu.site.geodesy import LocalFrame
from rsu.site.lanes import SiteMap
from rsu.uplink.profiles.mapping import Document

LIVE_TTL_S = 10.0
"""A centre's live picture older than this misleads; what was missed is in the recording."""
STATE_TTL_S = 86_400.0  # counts and health are still worth a day later
EVENT_TTL_S = 604_800.0  # a week: events are the record of what happened


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Who reports, and from where; `rsu_id` as on the air, None where nothing is said there."""

    site: str
    frame: LocalFrame
    site_map: SiteMap
    title: str = ""
    region: int = 0
    intersection: int = 0
    rsu_id: str | None = None
    profile: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """One of our documents (without schema, id and site), why and how long it matters."""

    subject: str
    document: Document
    priority: Priority
    ttl_s: float
    capture_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One publication of a profile. `topic` as in `UplinkReport.subject`; a `body` of ours (with a
    `schema`) still gets its id."""

    topic: str
    body: Document | bytes
    priority: Priority
    ttl_s: float
    capture_ns: int
    content_type: str = JSON
    schema: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One topic of a profile, for its AsyncAPI file; `address` may hold {parameters}.

    `schema` is the JSON Schema of a JSON body; `layout` describes a binary one in words.
    """

    name: str
    address: str
    summary: str
    schema: Document | None = None
    layout: str = ""


class Profile(ABC):
    """A profile that has nothing to say; the real ones override what they speak of."""

    hears_frames = False
    hears_vehicles = False
    hears_machine = False

    def news(self, news: News, now: Instant) -> Iterable[Statement]:  # noqa: ARG002
        """In the platform's words; nothing where it has none for it."""
        return ()

    def frame(self, frame: V2xFrame, now: Instant) -> Iterable[Statement]:  # noqa: ARG002
        """What is said of a message on the air (`hears_frames`)."""
        return ()

    def heard(self, heard: ReceivedV2x, now: Instant) -> Iterable[Statement]:  # noqa: ARG002
        """What is said of a message that was heard (`hears_vehicles`)."""
        return ()

    def machine(self, load: MachineLoad) -> None:  # noqa: B027 - few care
        """The newest reading of the computer's load (`hears_machine`), for `tick`."""

    def tick(self, now: Instant) -> Iterable[Statement]:  # noqa: ARG002
        """About once a second: heartbeats."""
        return ()

    @abstractmethod
    def channels(self) -> tuple[Channel, ...]:
        """Every topic it can publish."""


class Due:
    """A period on the monotonic clock, counted from the boot; missed ones are skipped."""

    def __init__(self, period_s: float, boot: Instant) -> None:
        self._period_ns = max(int(period_s * NS_PER_S), 1)
        self._boot_ns = boot.mono_ns
        self._done = 0

    def passed(self, now: Instant) -> bool:
        """Whether a period has ended since the last call that said so."""
        periods = (now.mono_ns - self._boot_ns) // self._period_ns
        if periods <= self._done:
            return False
        self._done = periods
        return True
