"""Profile `plain`: our own complete documents, as docs/uplink.md describes them."""

from __future__ import annotations

from collections.abc import Iterable

from rsu.config.platforms import PlainProfile
from rsu.schema.units import Instant
from rsu.uplink.profiles import plain_schema
from rsu.uplink.profiles.base import Channel, News, Place, Profile, Statement

_SUMMARIES = {
    "tracks": "Summary of all tracks",
    "traffic": "Counts, speeds and queues by lane; turns",
    "parking": "One lot: totals and bays",
    "health": "The unit and its sensors",
    "alarm": "Two sensors that contradict each other",
    "event": "One road event",
}


class Plain(Profile):
    """News as they are."""

    def __init__(self, options: PlainProfile, place: Place, _boot: Instant) -> None:
        own = options.topic_prefix
        # Without a prefix of its own: below the session's.
        self._prefix = "" if own is None else f"/{own.replace('{site}', place.site)}/"

    def news(self, news: News, now: Instant) -> Iterable[Statement]:  # noqa: ARG002
        """The document itself."""
        yield Statement(
            topic=self._prefix + news.subject, body=news.document, priority=news.priority,
            ttl_s=news.ttl_s, capture_ns=news.capture_ns, schema=f"rsu.{news.subject}/1",
        )  # fmt: skip

    def channels(self) -> tuple[Channel, ...]:
        """One topic a subject."""
        prefix = self._prefix.removeprefix("/") or "{prefix}/"
        return tuple(
            Channel(
                name=subject, address=prefix + subject, summary=_SUMMARIES[subject], schema=schema
            )
            for subject, schema in plain_schema.SCHEMAS.items()
        )
