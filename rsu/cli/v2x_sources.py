"""Where V2X frames come from: a command line, lines, binary files, captures and recordings.

In: the SOURCE argument of a `rsu v2x` command. Out: one `Found` after another, octets still in
their headers, or why there are none. All reading of files is here; nothing is decoded.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import click

LINE_MAX = 16_777_216
"""Octets of one line: the largest frame as `decode --si` prints it takes less than half of this."""
CAPTURE_MAX = 1 << 30
"""Octets of a capture: it is read into memory as a whole."""
TIME_MAX_NS = (1 << 63) - 1
MAGIC_OCTETS = 4
"""Octets by which a capture is known."""


@dataclass(frozen=True, slots=True)
class Found:
    """One frame as it was found: its octets or why there are none; `about` joins the output.

    `behind`: the message set behind each network header, where the source's own unit says so.
    """

    octets: bytes | None
    text: str
    profile: str | None = None
    problem: str = ""
    about: dict[str, Any] = field(default_factory=dict)
    behind: dict[str, str] = field(default_factory=dict)


class UnreadableSourceError(click.ClickException):
    """The source cannot be read at all."""

    exit_code = 2


def frames_in(source: str, *, as_hex: bool = False) -> Iterator[Found]:
    """Every frame of SOURCE. Raises UnreadableSourceError.

    SOURCE is a recording (.mcap or a folder of them), a capture (pcap, pcapng), a file with one
    frame per line (hex, or a JSON object with "hex"), a file that holds one binary frame, a frame
    in hex, or - for lines or a capture on standard input.
    """
    if as_hex:
        yield parse_line(source)
        return
    path = Path(source)
    if source == "-":
        yield from _stream(sys.stdin.buffer, "standard input")
    elif not _exists(path) and octets_of(source) is not None:
        yield parse_line(source)
    elif path.suffix == ".mcap" or _is_folder(path):
        yield from _recorded(path)
    else:
        try:
            with path.open("rb") as file:
                yield from _file(file, source)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the name
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise UnreadableSourceError(f"{source}: {reason}") from error


def lines_of(source: str) -> Iterator[tuple[int, str]]:
    """Numbered lines of a file or of standard input that hold something; octets that are no text
    become U+FFFD, and so does what is beyond LINE_MAX. Raises UnreadableSourceError."""
    if source == "-":
        yield from _lines(sys.stdin.buffer)
        return
    try:
        with Path(source).open("rb") as file:
            yield from _lines(file)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UnreadableSourceError(f"{source}: {reason}") from error


def parse_line(line: str, about: dict[str, Any] | None = None) -> Found:
    """A line of hex, or of JSON with `hex` (and perhaps `time` and `profile`)."""
    about = about or {}
    text, profile = line, None
    if line.startswith("{"):
        try:
            record = json.loads(line)
            text = record["hex"]
            if not isinstance(text, str):
                raise TypeError
        except (ValueError, KeyError, TypeError, RecursionError):
            return Found(None, "", problem='no JSON object with "hex"', about=about)
        profile = record["profile"] if isinstance(record.get("profile"), str) else None
        if type(record.get("time")) is int and 0 <= record["time"] <= TIME_MAX_NS:
            about = {"time": record["time"], **about}
    octets = octets_of(text)
    if octets is None:
        return Found(None, text, profile, "not octets in hex", about)
    return Found(octets, octets.hex(), profile, about=about)


def octets_of(text: str) -> bytes | None:
    """Octets written in hex, with or without 0x and blanks."""
    try:
        return bytes.fromhex(text.strip().removeprefix("0x").removeprefix("0X"))
    except ValueError:
        return None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False  # e.g. a frame in hex, which is longer than a file name may be


def _is_folder(path: Path) -> bool:
    return _exists(path) and path.is_dir()


def _file(file: BinaryIO, name: str) -> Iterator[Found]:
    """A capture, one binary frame, or lines."""
    from rsu.v2x.codec import MAX_FRAME_OCTETS

    head = file.read(MAX_FRAME_OCTETS + 1)  # one more than a frame may have, so that it is refused
    if _is_capture(head):
        yield from _captured(head + file.read(CAPTURE_MAX), name)
    elif all(0x20 <= octet < 0x7F or octet in b"\t\r\n" for octet in head):
        file.seek(0)
        yield from _from_lines(file)
    else:
        yield Found(head, head.hex())


def _stream(file: BinaryIO, name: str) -> Iterator[Found]:
    """Lines, or a capture, as its first octets say."""
    head = file.read(MAGIC_OCTETS)
    if _is_capture(head):
        yield from _captured(head + file.read(CAPTURE_MAX), name)
    else:
        yield from _from_lines(file, head)


def _from_lines(file: BinaryIO, head: bytes = b"") -> Iterator[Found]:
    for number, line in _lines(file, head):
        yield parse_line(line.strip(), {"line": number})


def _lines(file: BinaryIO, head: bytes = b"") -> Iterator[tuple[int, str]]:
    """Lines of a file whose first octets, `head`, have been read already."""
    begun = head.splitlines(keepends=True)
    number = 0
    while True:
        line = begun.pop(0) if begun else b""
        if not line.endswith(b"\n"):
            line += file.readline(LINE_MAX + 1)
        if not line:
            return
        number += 1
        if len(line) > LINE_MAX:
            rest = line
            while rest and not rest.endswith(b"\n"):
                rest = file.readline(LINE_MAX)
            line = line[:80] + "\N{REPLACEMENT CHARACTER}".encode()
        text = line.decode("utf-8", "replace")
        if text.strip():
            yield number, text


def _is_capture(octets: bytes) -> bool:
    from rsu.v2x.capture import is_capture

    return is_capture(octets)


def _captured(octets: bytes, name: str) -> Iterator[Found]:
    """Datagrams of a capture; what it passed over is told on standard error, damage at the end as
    a frame that could not be read."""
    from rsu.v2x.capture import Capture

    capture = Capture(octets)
    for number, datagram in enumerate(capture, start=1):
        about: dict[str, Any] = {"datagram": number, "carrier": datagram.carrier}
        if datagram.time_ns is not None:
            about = {"time": datagram.time_ns, **about}
        if datagram.source or datagram.destination:
            about |= {"source": datagram.source, "destination": datagram.destination}
        yield Found(datagram.payload, datagram.payload.hex(), about=about)
    if capture.skipped:
        counted = ", ".join(f"{count} {reason}" for reason, count in capture.skipped.most_common())
        click.echo(f"{name}: {capture.packets} packets, passed over: {counted}", err=True)
    if capture.damage is not None:
        yield Found(None, "", problem=f"the capture is damaged: {capture.damage}")


def _recorded(path: Path) -> Iterator[Found]:
    """V2X frames of a recording, sent and received, each with its time and profile."""
    from rsu.recording.errors import RecordingError
    from rsu.recording.reader import read_messages
    from rsu.schema.topics import V2X_RX, V2X_TX

    try:
        behind = _read_behind(path)
        for message in read_messages(path, (V2X_TX, V2X_RX), allow_unfinished=True):
            payload: bytes = message.payload.payload
            sent = message.topic == V2X_TX
            time = message.header.publish_ns if sent else message.payload.capture_ns
            about = {"time": time, "topic": message.topic.name}
            yield Found(payload, payload.hex(), message.payload.profile, about=about, behind=behind)
    except RecordingError as error:
        raise UnreadableSourceError(str(error)) from error


def _read_behind(path: Path) -> dict[str, str]:
    """Which message set the recorded unit read behind which network header (`v2x.receive`)."""
    from rsu.recording.info import site_of

    config = site_of(path)
    if config is None or config.v2x is None:
        return {}
    heard = config.v2x.receive
    sets = {"dsmp": heard.dsmp, "wsmp": heard.wsmp, "pc5": heard.wsmp, "rsu41": heard.wsmp}
    return {header: profile for header, profile in sets.items() if profile is not None}
