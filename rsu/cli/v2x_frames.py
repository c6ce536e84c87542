"""What the commands of the inspector share: their options, and the way from SOURCE to messages.

`read_frames` turns what `rsu.cli.v2x_sources` finds into decoded frames, keeps track of where the
unit is, and asks of each whether its profile is the right one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rsu.cli.v2x_sources import Found, frames_in

if TYPE_CHECKING:
    from rsu.v2x.inspector.frames import Frame, Mode
    from rsu.v2x.inspector.plausibility import Position
    from rsu.v2x.inspector.suspicion import Suspicion

DEFAULT_PROFILE = "csae53_2020"
EXIT_DIFFERS = 1
"""Some frame failed, something is wrong, or two differ."""
SHOWN_OCTETS = 8192
"""Failed frames up to this size are repeated whole; a deployed stack holds 5000 octets."""
WARNED_MAX = 20
"""Suspicions told on standard error one by one; objects have them all."""

Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Told:
    """One message with all that is known of it; `about` as its source told it."""

    frame: Frame
    about: dict[str, Any]
    suspicion: Suspicion | None = None
    readable_as: tuple[str, ...] = ()

    def record(self) -> dict[str, Any]:
        """The object that `decode` prints, without SI values."""
        frame = self.frame
        record: dict[str, Any] = {**self.about, "profile": frame.profile}
        if frame.error is None:
            record |= {"message": frame.message, "hex": frame.octets.hex(), "value": frame.value}
        else:
            record |= {"hex": short_hex(frame.octets.hex()), "error": frame.error}
        if frame.layers:
            record["via"] = [layer.name for layer in frame.layers]
            record["layers"] = [{"name": layer.name, **layer.fields} for layer in frame.layers]
        if frame.count > 1:
            record |= {"part": frame.index + 1, "parts": frame.count}
        if frame.also:
            record["also_reads_as"] = list(frame.also)
        if self.readable_as:
            record["readable_as"] = list(self.readable_as)
        if self.suspicion is not None and self.suspicion.suspected:
            record["suspicion"] = self.suspicion.to_json()
        return record


def source_options(command: Command) -> Command:
    """--profile, --hex, --unwrap and --near."""
    for option in (
        click.option(
            "--near",
            metavar="LAT,LON",
            help="Where the sender is, in degrees: the best evidence for or against a profile.",
        ),
        click.option(
            "--unwrap",
            type=click.Choice(["auto", "always", "never"]),
            default="auto",
            show_default=True,
            help="Take off headers: where octets are no bare message, always, or never.",
        ),
        click.option("--hex", "as_hex", is_flag=True, help="SOURCE is a frame in hex, not a file."),
        click.option(
            "--profile",
            help=f"Message set; else what the source says of each frame, else {DEFAULT_PROFILE}.",
        ),
    ):
        command = option(command)
    return command


def known_profile(profile: str | None) -> None:
    """Raises BadParameter for a profile that does not exist."""
    from rsu.v2x.profiles import PROFILES

    if profile is not None and profile not in PROFILES:
        raise click.BadParameter(
            f"{profile!r} is none of {', '.join(PROFILES)}", param_hint="--profile"
        )


def position_option(text: str | None) -> Position | None:
    """`31.23,121.47` in degrees; raises BadParameter."""
    if text is None:
        return None
    try:
        latitude, longitude = (float(part) for part in text.split(","))
    except ValueError:
        latitude = longitude = 999.0
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):  # NaN fails as well
        raise click.BadParameter(
            f"{text[:40]!r} is no latitude and longitude in degrees", param_hint="--near"
        )
    return latitude, longitude


def read_frames(
    source: str,
    profile: str | None,
    *,
    as_hex: bool = False,
    unwrap: Mode = "auto",
    near: Position | None = None,
) -> Iterator[Told]:
    """Every message in SOURCE, decoded or with its error. Raises UnreadableSourceError."""
    from rsu.v2x.errors import CodecError
    from rsu.v2x.inspector.frames import Frame, frames_of

    for found in frames_in(source, as_hex=as_hex):
        used = profile or found.profile or DEFAULT_PROFILE
        if found.octets is None:
            told = Told(Frame(used, b"", error=found.problem), found.about)
            yield _Undecodable(told.frame, told.about, text=found.text)
            continue
        try:
            frames = frames_of(used, found.octets, unwrap)
            behind = _behind(frames, found.behind)
            if profile is None and found.profile is None and behind not in (None, used):
                frames = frames_of(behind, found.octets, unwrap)
        except CodecError as error:  # a profile that the line names and nobody knows
            frames = [Frame(used, found.octets, error=str(error))]
        for frame in frames:
            near = near or _own_position(found, frame)
            yield _judged(frame, found.about, near)


def _behind(frames: list[Frame], sets: dict[str, str]) -> str | None:
    """The message set that the source's own unit reads behind these frames' headers."""
    headers = (layer.name for frame in frames for layer in frame.layers)
    return next((sets[name] for name in headers if name in sets), None)


@dataclass(frozen=True, slots=True)
class _Undecodable(Told):
    """What never became octets: its text is repeated instead."""

    text: str = ""

    def record(self) -> dict[str, Any]:
        return {
            **self.about,
            "profile": self.frame.profile,
            "hex": short_hex(self.text),
            "error": self.frame.error,
        }


def _judged(frame: Frame, about: dict[str, Any], near: Position | None) -> Told:
    from rsu.v2x.inspector.suspicion import readable_by, suspicion_of
    from rsu.v2x.profiles import PROFILES

    told = Told(frame, about)
    if frame.profile not in PROFILES:
        return told
    if frame.error is None:
        return replace(told, suspicion=suspicion_of(frame.profile, frame.octets, frame.value, near))
    return replace(told, readable_as=tuple(readable_by(frame.octets, frame.profile)))


def _own_position(found: Found, frame: Frame) -> Position | None:
    """Where the unit is: the reference position of its own RSM, which all CSAE sets read alike."""
    from rsu.v2x.inspector.plausibility import position_of

    if found.about.get("topic") != "v2x/tx" or frame.message != "RSM" or frame.error is not None:
        return None
    content = frame.value.get("rsmFrame")
    return position_of(content["refPos"]) if content else None


def warn(told: Told, number: int, warned: int) -> int:
    """Tell a suspicion on standard error; returns how many have been told."""
    suspicion = told.suspicion
    if suspicion is None or not suspicion.suspected:
        return warned
    if warned < WARNED_MAX:
        likelier = f", likelier {suspicion.likelier}" if suspicion.likelier else ""
        click.echo(
            f"{where(told, number)}: {told.frame.profile} may be the wrong profile "
            f"(confidence {suspicion.confidence:g}{likelier}): {'; '.join(suspicion.evidence[:3])}",
            err=True,
        )
    elif warned == WARNED_MAX:
        click.echo("more frames are suspected; each has its `suspicion`", err=True)
    return warned + 1


def where(told: Told, number: int) -> str:
    """The place of a frame in its source, for people."""
    line = told.about.get("line")
    return f"frame {number}" if line is None else f"line {line}"


def echo_json(record: Any) -> None:
    """One line of JSON. Lone surrogates, which JSON can carry and UTF-8 cannot, stay escaped."""
    text = json.dumps(record, ensure_ascii=False)
    click.echo(text.encode("utf-8", "backslashreplace"))


def short_hex(text: str) -> str:
    """Text of a failed frame, cut where it is longer than any radio would carry."""
    return text if len(text) <= 2 * SHOWN_OCTETS else text[:80] + "…"
