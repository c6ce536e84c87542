"""What a recording holds and whether it is whole.

In: files or a folder. Out: `RecordingInfo` (times, topics, streams with their holes, files with
their damage, provenance). Everything is unpacked and its CRC checked; payloads are not decoded.
"""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from rsu.recording.layout import (
    METADATA_END,
    METADATA_JOURNAL,
    METADATA_RECORDING,
    METADATA_RECOVERED,
    METADATA_SITE,
)
from rsu.recording.reader import Paths, Progress, Recording, RecordingFile
from rsu.recording.sequence import Tally
from rsu.schema.units import NS_PER_S

if TYPE_CHECKING:
    from rsu.config.model import SiteConfig


class TopicInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One topic over the whole recording; `rate_hz` is count / duration over all sources."""

    topic: str
    count: int
    bytes: int
    rate_hz: float
    sources: tuple[str, ...]


class StreamInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One (topic, source, boot): numbers of its first and last message, holes and repeats."""

    topic: str
    source: str
    boot_ns: int
    first: int
    last: int
    count: int
    lost: int
    repeated: int


class FileInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One file. `previous` is the name of the file before it, if the run had one."""

    path: str
    size: int
    closed: bool
    part: int
    previous: str
    previous_missing: bool
    dropped: dict[str, int]
    recovered: bool


class RecordingInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A whole recording.

    `truncated`: a file was not finished by its recorder. `lost` counts holes in the numbering of
    messages, `dropped` what the recorder itself counted as dropped. `exact` says that nothing
    between the first and the last message is known to be missing: a replay can be exact.
    """

    files: tuple[FileInfo, ...]
    size: int
    start_ns: int | None
    end_ns: int | None
    duration_s: float
    messages: int
    topics: tuple[TopicInfo, ...]
    streams: tuple[StreamInfo, ...]
    boots: tuple[int, ...]
    lost: int
    dropped: dict[str, int]
    foreign: dict[str, int]
    truncated: bool
    damages: tuple[str, ...]
    exact: bool
    metadata: dict[str, str]
    site_sha256: str
    groups: tuple[str, ...]


@dataclass(slots=True)
class _TopicCount:
    count: int = 0
    octets: int = 0


def info(paths: Paths, *, progress: Progress | None = None) -> RecordingInfo:
    """Sum up a recording; raises RecordingError when there is none to open."""
    recording = Recording(paths, progress=progress)
    tally = Tally()
    counts: defaultdict[str, _TopicCount] = defaultdict(_TopicCount)
    start: int | None = None
    end: int | None = None
    for header, topic, data in recording.recorded(order="written"):
        tally.note(header.topic, header.source, header.boot_ns, header.seq)
        counts[topic.name].count += 1
        counts[topic.name].octets += len(data)
        start = header.publish_ns if start is None else min(start, header.publish_ns)
        end = header.publish_ns if end is None else max(end, header.publish_ns)
    duration = 0.0 if start is None or end is None else (end - start) / NS_PER_S
    streams = tuple(
        StreamInfo(
            topic=s.topic, source=s.source, boot_ns=s.boot_ns, first=s.first, last=s.last,
            count=s.count, lost=s.lost, repeated=s.repeated,
        )
        for s in tally.streams()
    )  # fmt: skip
    files = _files(recording.files)
    dropped = dict(sum((Counter(file.dropped) for file in files), Counter[str]()))
    damages = tuple(map(str, recording.damages))
    return RecordingInfo(
        files=files,
        size=recording.size,
        start_ns=start,
        end_ns=end,
        duration_s=duration,
        messages=sum(count.count for count in counts.values()),
        topics=_topics(counts, streams, duration),
        streams=streams,
        boots=tuple(sorted({stream.boot_ns for stream in streams})),
        lost=tally.lost,
        dropped=dropped,
        foreign=dict(recording.foreign),
        truncated=any(not file.closed for file in files),
        damages=damages,
        exact=not (tally.lost or dropped or damages or any(f.previous_missing for f in files[1:])),
        metadata=_first(recording.files, METADATA_RECORDING),
        site_sha256=_first(recording.files, METADATA_SITE).get("sha256", ""),
        groups=tuple(k for k in _first(recording.files, METADATA_JOURNAL) if k != "check"),
    )


def site_text(paths: Paths) -> str:
    """The site file that a recording was made with, as text; empty where it holds none."""
    return _first(Recording(paths).files, METADATA_SITE).get("text", "")


def site_of(paths: Paths) -> SiteConfig | None:
    """The site that a recording carries in its metadata; None where it has none that still
    validates."""
    from rsu.config.load import load_site
    from rsu.config.problems import ConfigError

    text = site_text(paths)
    if not text:
        return None
    with tempfile.TemporaryDirectory() as folder:
        # A live recording holds the site as JSON, which is YAML as well.
        file = Path(folder) / "site.yaml"
        file.write_text(text, encoding="utf-8")
        try:
            return load_site(file)
        except ConfigError:
            return None


def _topics(
    counts: dict[str, _TopicCount], streams: tuple[StreamInfo, ...], duration: float
) -> tuple[TopicInfo, ...]:
    return tuple(
        TopicInfo(
            topic=name,
            count=count.count,
            bytes=count.octets,
            rate_hz=count.count / duration if duration else 0.0,
            sources=tuple(sorted({s.source for s in streams if s.topic == name})),
        )
        for name, count in sorted(counts.items())
    )


def _files(files: list[RecordingFile]) -> tuple[FileInfo, ...]:
    names = {file.path.name.replace(".recovered.mcap", ".mcap") for file in files}
    return tuple(_file(file, names) for file in files)


def _file(file: RecordingFile, names: set[str]) -> FileInfo:
    recording = file.metadata_named(METADATA_RECORDING) or {}
    end = file.metadata_named(METADATA_END) or {}
    previous = recording.get("previous", "")
    return FileInfo(
        path=str(file.path),
        size=file.scan.size,
        closed=file.scan.closed,
        part=int(recording.get("part", "0")),
        previous=previous,
        previous_missing=bool(previous) and previous not in names,
        dropped=msgspec.json.decode(end.get("dropped", "{}"), type=dict[str, int]),
        recovered=file.metadata_named(METADATA_RECOVERED) is not None,
    )


def _first(files: list[RecordingFile], name: str) -> dict[str, str]:
    """The first intact metadata record of that name in any of the files."""
    for file in files:
        fields = file.metadata_named(name)
        if fields is not None:
            return {key: value for key, value in fields.items() if key != "check"}
    return {}
