"""`rsu map`: the site's lanes as a MAP message, checked, and MAP messages as lanes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rsu.config.model import SiteConfig
    from rsu.site.lanes import SiteMap
    from rsu.v2x.map.findings import Finding
    from rsu.v2x.map.imported import SourceMap

FOUND_WRONG = 1
SITE_FILE = click.Path(path_type=Path)
CHORD = click.FloatRange(0.01, 5.0)  # below 1 cm lies the air's own rounding (1e-7 degree)


class UnusableMapError(click.ClickException):
    """The site, its lanes or the source cannot be used."""

    exit_code = 2


@click.group(name="map")
def map_group() -> None:
    """Write, check and read MAP messages (docs/map.md).

    \b
    Example:
      rsu map export configs/junction.yaml --hex
    """


@map_group.command(name="export")
@click.argument("site", type=SITE_FILE)
@click.option("--profile", default="csae53_2020", show_default=True, help="Message set.")
@click.option("--json", "form", flag_value="json", help="Print the value as JSON (the default).")
@click.option("--hex", "form", flag_value="hex", help="Print the frame in hex.")
@click.option(
    "--chord-error", type=CHORD, default=0.1, show_default=True,
    help="m a dropped vertex may lie beside the stated line.",
)  # fmt: skip
def export(site: Path, profile: str, form: str | None, chord_error: float) -> None:
    """Print the MAP of SITE's lanes.

    What the message leaves out is told on standard error; what it needs and the lanes lack ends
    the command with exit code 2, by lane and property.

    \b
    Examples:
      rsu map export site.yaml
      rsu map export site.yaml --hex --chord-error 0.05 | rsu v2x decode
    """
    from rsu.v2x.codec import codec_for
    from rsu.v2x.errors import V2xError

    _known(profile)
    config, site_map = _load(site)
    try:
        frame, findings = _frame(config, site_map, profile, chord_error)
        octets = codec_for(profile).encode(frame)
    except V2xError as error:
        raise UnusableMapError(f"{site}: no MAP can be made\n{error}") from error
    for finding in findings:
        click.echo(f"left out: {finding}", err=True)
    click.echo(octets.hex() if form == "hex" else json.dumps(frame, indent=2))


@map_group.command(name="check")
@click.argument("site", type=SITE_FILE)
@click.option("--profile", default="csae53_2020", show_default=True, help="Message set.")
@click.option("--spat", type=SITE_FILE, help="A SPAT frame in hex or JSON that must fit the map.")
@click.option("--chord-error", type=CHORD, default=0.1, show_default=True, help="m, as in export.")
@click.option("--json", "as_json", is_flag=True, help="Print findings as one JSON document.")
def check(site: Path, profile: str, spat: Path | None, chord_error: float, as_json: bool) -> None:
    """Verify that SITE's lanes make a sound MAP: links, stop lines, turns, signal groups, ranges.

    Exit code 0: sound (warnings allowed); 1: something is wrong; 2: the site cannot be read.

    \b
    Examples:
      rsu map check site.yaml
      rsu map check site.yaml --spat spat.hex --json
    """
    from rsu.v2x.codec import codec_for
    from rsu.v2x.errors import V2xError
    from rsu.v2x.map.check import check_map
    from rsu.v2x.map.findings import Finding, MapExportError

    _known(profile)
    config, site_map = _load(site)
    phases = None if spat is None else _phases(spat, profile, config.site.intersection)
    by_links = not profile.startswith("j2735")
    findings = check_map(site_map, config.site.intersection, phases, by_links=by_links)
    octets = None
    try:
        frame, left_out = _frame(config, site_map, profile, chord_error)
        findings += left_out
        octets = len(codec_for(profile).encode(frame))
    except MapExportError as error:
        findings += error.findings
    except V2xError as error:
        findings.append(Finding("", "", str(error)))
    findings = sorted(set(findings), key=lambda f: (f.warning, f.lane, f.key, f.message))
    errors = [finding for finding in findings if not finding.warning]
    if as_json:
        found = [
            {
                "lane": finding.lane or None,
                "property": finding.key or None,
                "severity": "warning" if finding.warning else "error",
                "message": finding.message,
            }
            for finding in findings
        ]
        report = {"site": str(site), "ok": not errors, "octets": octets, "findings": found}
        click.echo(json.dumps(report, indent=2))
    else:
        for finding in findings:
            click.echo(f"{'warning' if finding.warning else 'error'}: {finding}")
        size = "" if octets is None else f", MAP of {octets} octets"
        click.echo(f"{site}: {'ok' if not errors else f'{len(errors)} errors'}{size}")
    if errors:
        sys.exit(FOUND_WRONG)


FORMATS = (
    "auto", "csae-hex", "csae-json", "openv2x-json", "j2735-hex", "j2735-json", "j2735-xer",
    "roadway", "lanelet2",
)  # fmt: skip


@map_group.command(name="import")
@click.argument("source", type=SITE_FILE)
@click.option("--out", type=SITE_FILE, required=True, help="GeoJSON file of lanes to write.")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="auto", show_default=True,
    help="What SOURCE holds.",
)  # fmt: skip
@click.option(
    "--profile",
    help="Message set of SOURCE, never guessed from hex. [default: csae53_2020; of j2735 forms "
    "j2735_2024]",
)
@click.option(
    "--node", type=int, help="Node that is the site's intersection. [default: most turns]"
)
@click.option(
    "--lane-width", type=click.FloatRange(0.3, 30), help="m, for lanes SOURCE gives no width."
)
def import_(
    source: Path,
    out: Path,
    form: str,
    profile: str | None,
    node: int | None,
    lane_width: float | None,
) -> None:
    """Write the lanes of the MAP in SOURCE as a site's lane file.

    What SOURCE does not say is left out and listed on standard error; the keys of the site file
    that belong to it are printed.

    \b
    Examples:
      rsu map import map.hex --out lanes.geojson
      rsu map import map.json --out lanes.geojson --node 19 --lane-width 3.5
    """
    from rsu.v2x.errors import V2xError
    from rsu.v2x.map.imported import lane_features

    if profile is not None:
        _known(profile)
    try:
        if form == "lanelet2" or (form == "auto" and "<osm" in _text(source)[:1000]):
            from rsu.v2x.map.read_lanelet2 import lanelets

            lanes, region, number = lanelets(_text(source)), None, None
        else:
            found = _source(source, form, profile, node)
            lanes = lane_features(found, node=node, lane_width=lane_width)
            region, number = found.region, lanes.node.number
    except V2xError as error:
        raise UnusableMapError(f"{source}: {error}") from error
    longitude, latitude = (value / 1e7 for value in lanes.node.position)
    warnings = _write(out, lanes.document, (latitude, longitude))
    for note in (*lanes.notes, *warnings):
        click.echo(note, err=True)
    altitude = lanes.node.elevation
    height = "" if altitude is None else f", altitude: {altitude}"
    click.echo("site:")
    for key, value in (("region", region), ("intersection", number)):
        if value is not None:
            click.echo(f"  {key}: {value}")
    click.echo(f"  origin: {{latitude: {latitude}, longitude: {longitude}{height}}}")
    click.echo(f"  lanes: {out}")


def _known(profile: str) -> None:
    from rsu.v2x.codec import codec_for
    from rsu.v2x.errors import CodecError

    try:
        codec_for(profile)
    except CodecError as error:
        raise click.BadParameter(str(error), param_hint="--profile") from error


def _load(path: Path) -> tuple[SiteConfig, SiteMap]:
    from rsu.config.load import load_site
    from rsu.runtime.graph import load_map
    from rsu.site.geojson import SiteMapError

    config = load_site(path)
    if config.site.lanes is None:
        raise UnusableMapError(f"{path}: site.lanes: missing, there is no map")
    try:
        return config, load_map(config, path.parent)
    except SiteMapError as error:
        raise UnusableMapError(str(error)) from error


def _frame(
    config: SiteConfig, site_map: SiteMap, profile: str, chord_error: float
) -> tuple[dict[str, Any], list[Finding]]:
    from rsu.v2x.map import csae, sae

    place = csae.MapPlace(
        name=config.site.id,
        region=config.site.region,
        intersection=config.site.intersection,
        altitude=config.site.origin.altitude,
    )
    if profile.startswith("j2735"):
        value, findings = sae.map_data(site_map, place, chord_error=chord_error)
        return {"messageId": sae.MESSAGE_ID, "value": {"MapData": value}}, findings
    value, findings = csae.map_data(site_map, place, chord_error=chord_error)
    return {"mapFrame": value}, findings


def _phases(path: Path, profile: str, intersection: int) -> set[int]:
    """Phases or signal groups a SPAT names for the intersection."""
    from rsu.v2x.codec import codec_for
    from rsu.v2x.errors import CodecError

    text = _text(path)
    american = profile.startswith("j2735")
    if text.startswith("{"):
        value = _content(_json(text, path), "SPAT", path)
        frame = {"messageId": 19, "value": {"SPAT": value}} if american else {"spatFrame": value}
        try:
            codec_for(profile).encode(frame)
        except CodecError as error:
            raise UnusableMapError(f"{path}: not a message of {profile}: {error}") from error
    else:
        value = _message(path, profile, "SPAT")
    names = ("id", "states", "signalGroup") if american else ("intersectionId", "phases", "id")
    states = [one for one in value["intersections"] if one[names[0]]["id"] == intersection]
    if not states:
        raise UnusableMapError(f"{path}: no state of intersection {intersection}")
    return {phase[names[2]] for state in states for phase in state[names[1]]}


def _message(path: Path, profile: str, name: str) -> Any:
    """The content of a frame in a file: hex, or JSON as `rsu v2x decode` prints it; checked."""
    from rsu.v2x.codec import codec_for
    from rsu.v2x.errors import CodecError

    text = _text(path)
    try:
        frame = codec_for(profile).decode(bytes.fromhex(text.removeprefix("0x")))
    except CodecError as error:
        raise UnusableMapError(f"{path}: not a message of {profile}: {error}") from error
    except ValueError as error:
        raise UnusableMapError(f"{path}: neither a frame in hex nor JSON: {error}") from error
    return _content(frame, name, path)


def _content(frame: Any, name: str, path: Path) -> Any:
    """MapData or SPAT of a frame in JSON form, of a record of `rsu v2x decode`, or bare."""
    if isinstance(frame, dict) and "profile" in frame and "value" in frame:
        frame = frame["value"]
    if isinstance(frame, dict) and "messageId" in frame:
        frame = frame.get("value")
    for key in (f"{name.lower()}Frame", "MapData" if name == "MAP" else name):
        if isinstance(frame, dict) and list(frame) == [key]:
            return frame[key]
    if isinstance(frame, dict) and len(frame) == 1 and next(iter(frame)).endswith("Frame"):
        raise UnusableMapError(f"{path}: holds {', '.join(frame)}, not a {name}")
    return frame


def _json(text: str, path: Path) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnusableMapError(f"{path}: not JSON: {error}") from error


def _source(path: Path, form: str, profile: str | None, node: int | None) -> SourceMap:
    from rsu.v2x.map import read_csae, read_j2735

    text = _text(path)
    if form == "auto":
        form = _form_of(text, path, profile)
    if form == "roadway":
        from rsu.v2x.map.read_roadway import roadway

        return roadway(text, node=node)
    family, notation = form.split("-")
    used = profile or ("j2735_2024" if family == "j2735" else "csae53_2020")
    if used.startswith("j2735") != (family == "j2735"):
        raise UnusableMapError(f"{path}: {form} is no form of {used}")
    if notation == "hex":
        value = _message(path, used, "MAP")
    elif notation == "xer":
        value = _content(_xer(text, path, used), "MAP", path)
    else:
        value = _content(_json(text, path), "MAP", path)
    if family == "j2735":
        plain = read_j2735.from_hex_bits(value)
        return read_j2735.source_map(plain, used, intersection=node)
    if family == "openv2x":
        value = read_csae.from_openv2x(value)
    return read_csae.source_map(value, used)


def _xer(text: str, path: Path, profile: str) -> Any:
    from rsu.v2x.codec import FRAME, codec_for
    from rsu.v2x.errors import CodecError
    from rsu.v2x.xer import read_xer

    try:
        name, value = read_xer(text, codec_for(profile))
    except CodecError as error:
        raise UnusableMapError(f"{path}: not a message of {profile}: {error}") from error
    if name == FRAME:
        return value
    if name != "MapData":
        raise UnusableMapError(f"{path}: holds {name}, not a MAP")
    return value


def _form_of(text: str, path: Path, profile: str | None) -> str:
    if text.startswith("<"):
        return "roadway" if "<J2735.GID.blob" in text[:1000] else "j2735-xer"
    if not text.startswith("{"):
        return "j2735-hex" if (profile or "").startswith("j2735") else "csae-hex"
    document = _json(text, path)
    if isinstance(document.get("profile"), str):  # a line of `rsu v2x decode`
        return "j2735-json" if document["profile"].startswith("j2735") else "csae-json"
    if "messageId" in document or "intersections" in document:
        return "j2735-json"
    return "openv2x-json" if isinstance(document.get("nodes"), dict) else "csae-json"


MAX_SOURCE = 20_000_000
"""Octets of a source, as of a map file (rsu.site.geojson)."""


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_SOURCE:
            raise UnusableMapError(f"{path}: larger than {MAX_SOURCE // 1_000_000} MB")
        return path.read_text("utf-8-sig").strip()
    except OSError as error:
        raise UnusableMapError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UnusableMapError(f"{path}: not text in UTF-8") from error


def _write(out: Path, document: dict[str, Any], origin: tuple[float, float]) -> list[str]:
    """Write the lane file once it reads back without an error; returns the warnings."""
    from rsu.site.features import read_map

    part = out.with_name(out.name + ".part")
    lines = ",\n".join(json.dumps(feature) for feature in document["features"])
    try:
        part.write_text(f'{{"type": "FeatureCollection", "features": [\n{lines}\n]}}\n', "utf-8")
        found = read_map(part, None, origin)
        if found.errors:
            part.unlink()
            told = "\n".join(problem.text for problem in found.errors)
            raise UnusableMapError(f"{out}: not written, the lanes are not sound\n{told}")
        part.replace(out)
        return [problem.text for problem in found.problems]
    except OSError as error:
        raise UnusableMapError(f"{out}: {error.strerror}") from error
