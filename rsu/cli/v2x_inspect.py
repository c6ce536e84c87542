"""`rsu v2x inspect`: what the standard would object to in the frames of a source."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from rsu.cli.v2x_decode import utc_text
from rsu.cli.v2x_frames import (
    EXIT_DIFFERS,
    Told,
    echo_json,
    known_profile,
    position_option,
    read_frames,
    source_options,
)

if TYPE_CHECKING:
    from rsu.v2x.inspector.finding import Finding
    from rsu.v2x.inspector.frames import Mode

SEVERITIES = ("error", "warning", "note")
COLOURS = {"error": "red", "warning": "yellow", "note": "blue"}


@dataclass(slots=True)
class _Group:
    """Findings alike but for indices and numbers, over all frames."""

    first: Finding
    frame: int
    message: str
    times: int = 0


@click.command(
    epilog="Examples: rsu v2x inspect out.mcap    |    rsu v2x inspect --json air.pcapng    |    "
    "rsu v2x inspect --now 2026-03-01T08:00:00Z 4480…"
)
@click.argument("source", default="-")
@source_options
@click.option(
    "--now",
    metavar="TIME",
    help="Moment (ISO 8601) to judge times by where the source states none.",
)
@click.option("--json", "as_json", is_flag=True, help="One object per frame and one at the end.")
def inspect(
    source: str,
    profile: str | None,
    as_hex: bool,
    unwrap: Mode,
    near: str | None,
    now: str | None,
    as_json: bool,
) -> int:
    """Report what the standard objects to in the frames of SOURCE (as for `decode`).

    Errors break a rule, warnings are allowed but useless or odd in practice, notes tell what is
    left unsaid. Each names its field and the clause or table it rests on. Looked at: codes and
    limits of ranges, rules of each message, times against capture, counters, rates, MAP against
    SPAT, and whether the profile is the right one. The exit code is 1 when there are errors.
    """
    known_profile(profile)
    place, now_ns = position_option(near), _now(now)
    report = _Report(as_json, now_ns)
    frames = read_frames(source, profile, as_hex=as_hex, unwrap=unwrap, near=place)
    for told in frames:
        report.take(told)
    report.finish()
    return EXIT_DIFFERS if report.counts["error"] else 0


class _Report:
    """Findings as they come (JSON) or grouped at the end (text)."""

    def __init__(self, as_json: bool, now_ns: int | None) -> None:
        from rsu.v2x.inspector.sequence import Sequence

        self.as_json, self.now_ns = as_json, now_ns
        self.counts = dict.fromkeys(SEVERITIES, 0)
        self.frames = 0
        self.times: list[int] = []
        self.groups: dict[tuple[str, str, str, str], _Group] = {}
        self.sequence = Sequence()

    def take(self, told: Told) -> None:
        self.frames += 1
        findings = self._findings(told)
        for each in findings:
            self._count(each, self.frames, told.frame.message or "")
        if self.as_json:
            frame = told.frame
            record = {**told.about, "frame": self.frames, "profile": frame.profile}
            record |= {"message": frame.message, "findings": [each.to_json() for each in findings]}
            echo_json(record)

    def finish(self) -> None:
        findings = self.sequence.finish()
        for each in findings:
            self._count(each, 0, "")
        if self.as_json:
            echo_json(
                {
                    "frames": self.frames,
                    "findings": [each.to_json() for each in findings],
                    **{f"{severity}s": count for severity, count in self.counts.items()},
                }
            )
            return
        groups = sorted(
            self.groups.values(), key=lambda each: (SEVERITIES.index(each.first.severity),)
        )
        for group in groups:
            _print(group)
        counted = ", ".join(
            f"{count} {severity}{'' if count == 1 else 's'}"
            for severity, count in self.counts.items()
        )
        click.echo(f"{self.frames} frame{'' if self.frames == 1 else 's'}: {counted}")
        if self.times:
            click.echo(f"from {utc_text(min(self.times))} to {utc_text(max(self.times))}")

    def _findings(self, told: Told) -> list[Finding]:
        from rsu.v2x.inspector.finding import error, warning
        from rsu.v2x.inspector.review import review

        frame = told.frame
        if frame.error is not None:
            also = f"; {', '.join(told.readable_as)} reads it" if told.readable_as else ""
            return [error("", f"{frame.error}{also}", f"message set {frame.profile}")]
        time_ns = told.about.get("time", self.now_ns)
        if "time" in told.about:
            self.times = [*self.times[:1], *self.times[-1:], told.about["time"]]
            self.times = [min(self.times), max(self.times)]
        way = str(told.about.get("topic") or told.about.get("source") or "")
        findings = review(frame.profile, frame.value, time_ns)
        findings += self.sequence.take(
            frame.profile, frame.message or "", frame.value, frame.octets,
            told.about.get("time"), way,
        )  # fmt: skip
        if frame.also:
            ways = ", ".join(frame.also)
            text = f"the octets are also a sound {ways} around something else"
            findings.append(warning("", text, "layers and message are told apart by length only"))
        suspicion = told.suspicion
        if suspicion is not None and suspicion.suspected:
            likelier = f", likelier {suspicion.likelier}" if suspicion.likelier else ""
            text = f"wrong profile? confidence {suspicion.confidence:g}{likelier}"
            findings.append(error("", f"{text}: {'; '.join(suspicion.evidence)}", "csae.md 1.1"))
        return findings

    def _count(self, finding: Finding, frame: int, message: str) -> None:
        self.counts[finding.severity] += 1
        if self.as_json:
            return
        template = re.sub(r"[\d.]+", "#", finding.text) if frame else finding.text
        key = (finding.severity, message, re.sub(r"\[\d+\]", "[*]", finding.path), template)
        group = self.groups.setdefault(key, _Group(finding, frame, message))
        group.times += 1


def _print(group: _Group) -> None:
    finding = group.first
    place = f"{group.message} frame {group.frame}".strip() if group.frame else "source"
    more = f"  (and {group.times - 1} more alike)" if group.times > 1 else ""
    label = click.style(f"{finding.severity:<8}", fg=COLOURS[finding.severity], bold=True)
    path = click.style(finding.path, fg="cyan") + ("  " if finding.path else "")
    click.echo(f"{label} {place}: {path}{finding.text}{more}")
    click.echo(click.style(f"         {finding.basis}", dim=True))


def _now(text: str | None) -> int | None:
    """ISO 8601 to UTC ns; without a zone it is UTC. Raises BadParameter."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text[:40]!r} is no ISO 8601 time", param_hint="--now") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(microseconds=1) * 1000
