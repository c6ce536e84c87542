"""`rsu v2x`: frames in hex, files or recordings → JSON, one object per frame, and back."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

DEFAULT_PROFILE = "csae53_2020"
EXIT_SOME_FAILED = 1
SHOWN_OCTETS = 8192
"""Failed frames up to this size are repeated whole; a deployed stack holds 5000 octets."""


@dataclass(frozen=True, slots=True)
class Found:
    """One frame as it was found: its octets or why there are none; `about` joins the output."""

    octets: bytes | None
    text: str
    profile: str | None = None
    problem: str = ""
    about: dict[str, Any] = field(default_factory=dict)


class UnreadableSourceError(click.ClickException):
    """The source cannot be read at all."""

    exit_code = 2


@click.group(epilog="Example: rsu v2x decode out.mcap")
def v2x() -> None:
    """Decode and encode V2X messages; the JSON form is described in docs/v2x-json.md."""


@v2x.command(
    epilog="Examples: rsu v2x decode out.mcap    |    rsu v2x decode 2480…00    |    "
    "nc -lu 5000 | rsu v2x decode"
)
@click.argument("source", default="-")
@click.option(
    "--profile",
    help=f"Message set of the frames: what a recording says of each, else {DEFAULT_PROFILE}.",
)
@click.option("--hex", "as_hex", is_flag=True, help="SOURCE is a frame in hex, not a file.")
def decode(source: str, profile: str | None, as_hex: bool) -> int:
    """Print every frame of SOURCE as one JSON object per line.

    SOURCE is a recording (.mcap or a folder of them), a file with one frame per line (hex, or a
    JSON object with "hex"), a file that holds one binary frame, a frame in hex, or - for lines
    on standard input. Objects have `profile`, `message`, `hex` and `value`, those of recordings
    also `time` (ns, UTC) and `topic`; a frame that cannot be decoded has `error` in place of
    `value`, and the exit code is then 1.
    """
    from rsu.v2x.codec import codec_for
    from rsu.v2x.errors import CodecError

    if profile is not None:
        _known(profile)
    failed = False
    for found in _find(source, as_hex=as_hex):
        used = profile or found.profile or DEFAULT_PROFILE
        record: dict[str, Any] = {**found.about, "profile": used}
        try:
            if found.octets is None:
                raise CodecError(found.problem)
            codec = codec_for(used)
            value = codec.decode(found.octets)
            record |= {"message": codec.message_name(value), "hex": found.text, "value": value}
        except CodecError as error:
            record |= {"hex": _short(found.text), "error": str(error)}
            failed = True
        click.echo(json.dumps(record, ensure_ascii=False))
    return EXIT_SOME_FAILED if failed else 0


@v2x.command(epilog="Example: rsu v2x decode out.mcap | rsu v2x encode")
@click.argument("source", default="-")
@click.option("--profile", default=DEFAULT_PROFILE, show_default=True, help="Message set.")
@click.option(
    "--message", help="Lines hold the bare content of this message, e.g. RSM, without its frame."
)
def encode(source: str, profile: str, message: str | None) -> int:
    """Print every JSON line of SOURCE (a file, or - for standard input) as a frame in hex.

    A line is a frame (`{"rsmFrame": {…}}`), an object as `decode` prints it, or with --message
    the message without its frame. A line that does not fit is told on standard error, and the
    exit code is then 1.
    """
    from rsu.v2x.codec import codec_for
    from rsu.v2x.errors import CodecError

    _known(profile)
    codec = codec_for(profile)
    if message is not None and message not in codec.messages:
        raise click.BadParameter(
            f"{message!r} is none of {', '.join(codec.messages)}", param_hint="--message"
        )
    failed = False
    for number, line in enumerate(_lines(source), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
            if message is not None:
                value = codec.frame(message, value)
            elif isinstance(value, dict) and "value" in value:
                value = value["value"]
            click.echo(codec.encode(value).hex())
        except (CodecError, ValueError, RecursionError) as error:
            click.echo(f"line {number}: {error}", err=True)
            failed = True
    return EXIT_SOME_FAILED if failed else 0


def _known(profile: str) -> None:
    from rsu.v2x.profiles import PROFILES

    if profile not in PROFILES:
        raise click.BadParameter(
            f"{profile!r} is none of {', '.join(PROFILES)}", param_hint="--profile"
        )


def _find(source: str, *, as_hex: bool) -> Iterator[Found]:
    if as_hex:
        yield _parse_line(source)
        return
    path = Path(source)
    if source != "-" and not _exists(path) and _octets(source) is not None:
        yield _parse_line(source)
    elif source != "-" and (path.suffix == ".mcap" or path.is_dir()):
        yield from _recorded(path)
    elif source != "-" and (frame := _binary_frame(path)) is not None:
        yield Found(frame, frame.hex())
    else:
        for number, line in enumerate(_lines(source), start=1):
            if line.strip():
                yield _parse_line(line.strip(), {"line": number})


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False  # e.g. a frame in hex, which is longer than a file name may be


def _recorded(path: Path) -> Iterator[Found]:
    """V2X frames of a recording, sent and received, each with its time and profile."""
    from rsu.recording.errors import RecordingError
    from rsu.recording.reader import read_messages
    from rsu.schema.topics import V2X_RX, V2X_TX

    try:
        for message in read_messages(path, (V2X_TX, V2X_RX), allow_unfinished=True):
            payload: bytes = message.payload.payload
            sent = message.topic == V2X_TX
            time = message.header.publish_ns if sent else message.payload.capture_ns
            about = {"time": time, "topic": message.topic.name}
            yield Found(payload, payload.hex(), message.payload.profile, about=about)
    except RecordingError as error:
        raise UnreadableSourceError(str(error)) from error


def _parse_line(line: str, about: dict[str, Any] | None = None) -> Found:
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
        if isinstance(record.get("time"), int):
            about = {"time": record["time"], **about}
    octets = _octets(text)
    if octets is None:
        return Found(None, text, profile, "not octets in hex", about)
    return Found(octets, octets.hex(), profile, about=about)


def _short(text: str) -> str:
    """Text of a failed frame, cut where it is longer than any radio would carry."""
    return text if len(text) <= 2 * SHOWN_OCTETS else text[:80] + "…"


def _octets(text: str) -> bytes | None:
    """Octets written in hex, with or without 0x and blanks."""
    try:
        return bytes.fromhex(text.strip().removeprefix("0x").removeprefix("0X"))
    except ValueError:
        return None


def _binary_frame(path: Path) -> bytes | None:
    """The content of a file that is not text, up to one octet more than a frame may have."""
    from rsu.v2x.codec import MAX_FRAME_OCTETS

    try:
        with path.open("rb") as file:
            head = file.read(MAX_FRAME_OCTETS + 1)
    except OSError as error:
        raise UnreadableSourceError(f"{path}: {error.strerror}") from error
    is_text = all(0x20 <= octet < 0x7F or octet in b"\t\r\n" for octet in head)
    return None if is_text else head


def _lines(source: str) -> Iterable[str]:
    """Lines of a file or of standard input; octets that are no text become U+FFFD."""
    if source == "-":
        for line in sys.stdin.buffer:
            yield line.decode("utf-8", "replace")
        return
    try:
        with Path(source).open(encoding="utf-8", errors="replace") as file:
            yield from file
    except OSError as error:
        raise UnreadableSourceError(f"{source}: {error.strerror}") from error
