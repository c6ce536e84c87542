"""`rsu uplink sample`: what a platform would be sent, from a simulated site, without a broker."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rsu.schema.message import Message
from rsu.schema.units import NS_PER_S

if TYPE_CHECKING:
    from rsu.config.model import SiteConfig
    from rsu.config.platforms import Profile
    from rsu.schema.reports import UplinkReport

KINDS = ("plain", "fiware", "huawei_dris", "openv2x", "hisense_binary")
EXAMPLES: dict[str, dict[str, Any]] = {
    "huawei_dris": {"esn": "example", "edge": "example"},
    "openv2x": {"esn": "example", "radar": "example"},
    "hisense_binary": {"rsu_id": "example"},
}
"""What these must be told, where the site file says nothing of them."""
SHOWN_OCTETS = 96
START = "2025-06-16T07:00:00Z"  # as `rsu sim`: the same seed is the same run


@click.group(name="uplink")
def uplink() -> None:
    """What goes to platforms."""


@uplink.command(epilog="Example: rsu uplink sample --profile fiware")
@click.argument("site_path", metavar="[SITE]", type=click.Path(path_type=Path), required=False)
@click.option("--profile", "kind", type=click.Choice(KINDS), default="plain", show_default=True)
@click.option(
    "--duration", type=click.FloatRange(min=1.0, max=3600.0), default=25.0, show_default=True,
    help="Simulated seconds.",
)  # fmt: skip
@click.option("--all", "every", is_flag=True, help="Every publication, not one of each topic.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def sample(
    site_path: Path | None, kind: str, duration: float, every: bool, seed: int, as_json: bool
) -> None:
    """Print what SITE (default: the demo junction) would send to a platform.

    The site is simulated with modelled cameras; nothing is connected. Its own options of the
    profile are used where it has some.
    """
    from rsu.cli.demo import example_site
    from rsu.cli.site_file import usable_site

    path = site_path or example_site("junction.yaml")
    config = usable_site(path)
    if config.simulation is None:
        raise click.UsageError(f"{path} has no `simulation` section")
    config = _with_profile(config, kind)
    assert config.uplink is not None
    prefix = config.uplink.topic_prefix.replace("{site}", config.site.id)
    shown: set[str] = set()

    def tell(report: UplinkReport) -> None:
        topic = report.topic(prefix)
        if every or topic not in shown:
            shown.add(topic)
            click.echo(json.dumps(_record(report, topic)) if as_json else _page(report, topic))

    _simulate(config, path.parent, seed, duration, tell)
    if not shown:
        raise click.ClickException(f"nothing in {duration:g} s; try a longer --duration")


def _with_profile(config: SiteConfig, kind: str) -> SiteConfig:
    """The site with this profile only, as it says or as an example says."""
    from rsu.config.uplink import UplinkOptions

    given = () if config.uplink is None else config.uplink.profiles
    profiles: list[Profile | dict[str, Any]] = [one for one in given if one.kind == kind]
    chosen = profiles or [{"kind": kind, **EXAMPLES.get(kind, {})}]
    host = "localhost" if config.uplink is None else config.uplink.host
    options = UplinkOptions.model_validate({"host": host, "profiles": chosen})
    if config.uplink is not None:
        options = config.uplink.model_copy(update={"profiles": options.profiles})
    return config.model_copy(update={"uplink": options})


def _simulate(
    config: SiteConfig,
    base: Path,
    seed: int,
    duration_s: float,
    tell: Callable[[UplinkReport], None],
) -> None:
    """Tell every report of a simulated run as it is made."""
    from rsu.config.base import utc_ns
    from rsu.runtime import graph
    from rsu.runtime.lockstep import LockStepHost, virtual_boot
    from rsu.schema.topics import UPLINK_REPORT
    from rsu.sim.source import Commands, overheard, simulated_messages

    def take(message: Message) -> None:
        if message.topic == UPLINK_REPORT:
            tell(message.payload)

    start_ns = utc_ns(START)
    boot = virtual_boot(start_ns)
    groups = [build(boot) for build in graph.replayable_builders(config, base).values()]
    commands = Commands()
    host = LockStepHost(groups, overheard(take, commands), boot, sensors=graph.sensors_of(config))
    source = simulated_messages(
        config, base, seed, start_ns, round(duration_s * NS_PER_S), cameras="modelled",
        commands=commands,
    )  # fmt: skip
    host.run(source)


def _record(report: UplinkReport, topic: str) -> dict[str, Any]:
    is_json = "json" in report.content_type
    return {
        "topic": topic, "id": report.id, "content_type": report.content_type,
        "priority": report.priority.name.lower(), "ttl_s": report.ttl_s,
        "body": json.loads(report.body) if is_json else report.body.hex(),
    }  # fmt: skip


def _page(report: UplinkReport, topic: str) -> str:
    head = (
        f"{topic}   {report.content_type}, {len(report.body)} octets, "
        f"{report.priority.name.lower()}, for {report.ttl_s:g} s"
    )
    if "json" in report.content_type:
        body = json.dumps(json.loads(report.body), indent=1, ensure_ascii=False)
    else:
        body = report.body[:SHOWN_OCTETS].hex(" ", 8)
        body += " …" if len(report.body) > SHOWN_OCTETS else ""
    return f"{head}\n{body}\n"
