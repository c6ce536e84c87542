"""Which messages of each stream arrived: first, last, how many, how many are missing.

Fed with headers in their order of arrival, by the writer as it records and by `info` as it reads.
A stream is (topic, source, boot); its messages are numbered from 0 without holes by their
publisher, so a hole means that a message was lost on its way here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

StreamKey = tuple[str, str, int]
MAX_STREAMS = 20_000
"""Streams remembered; a crash-looping process makes a few new ones per restart."""


@dataclass(slots=True)
class StreamTally:
    """One stream so far. `joined` is the number expected first: an earlier file's last + 1."""

    topic: str
    source: str
    boot_ns: int
    first: int
    last: int
    joined: int | None = None
    count: int = 0
    lost: int = 0
    repeated: int = 0


class Tally:
    """All streams of one file or of one recording."""

    def __init__(self) -> None:
        self._streams: dict[StreamKey, StreamTally] = {}
        self._expected: dict[StreamKey, int] = {}

    def note(self, topic: str, source: str, boot_ns: int, seq: int) -> None:
        """One message arrived."""
        key = (topic, source, boot_ns)
        stream = self._streams.get(key)
        if stream is None:
            expected = self._expected.pop(key, None)
            if len(self._streams) >= MAX_STREAMS:
                del self._streams[next(iter(self._streams))]
            stream = StreamTally(topic, source, boot_ns, seq, seq, joined=expected)
            self._streams[key] = stream
            if expected is not None:
                stream.lost = max(0, seq - expected)
        elif seq > stream.last:
            stream.lost += seq - stream.last - 1
            stream.last = seq
        else:
            # Publishers never go back: a number seen before came twice.
            stream.repeated += 1
        stream.count += 1

    def streams(self) -> Iterable[StreamTally]:
        """Every stream, in the order of first sight."""
        return self._streams.values()

    @property
    def lost(self) -> int:
        """Messages missing between the first and the last of each stream."""
        return sum(stream.lost for stream in self._streams.values())

    def continued(self) -> Tally:
        """An empty tally for the next file that still sees a hole between the two files."""
        tally = Tally()
        tally._expected = self._expected | {
            key: stream.last + 1 for key, stream in self._streams.items()
        }
        while len(tally._expected) > MAX_STREAMS:
            del tally._expected[next(iter(tally._expected))]
        return tally
