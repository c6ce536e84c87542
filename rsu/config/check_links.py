"""Cross-checks of what drivers open: UDP ports that two would listen on, DBC and TLS files.

A port that is taken or a certificate that is not there stops one device at run time, when nobody
looks; here it is told with the line it stands on.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rsu.config import check_files
from rsu.config.devices import MqttOptions
from rsu.config.model import SiteConfig
from rsu.config.problems import Location, Note
from rsu.config.radars import Ars408Options
from rsu.config.uplink import TlsOptions, UplinkOptions

EVERYWHERE = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - compared, not bound
_LISTENERS = ("radars", "signals", "radios")
_SUBSCRIBERS = ("radars", "bay_sensors", "environment")


def notes(config: SiteConfig, base: Path) -> Iterator[Note]:
    """`base` is the folder that relative paths start from."""
    yield from _ports(config)
    for index, radar in enumerate(config.radars):
        if isinstance(radar, Ars408Options) and radar.database is not None:
            at = ("radars", index, "database")
            yield from check_files.file(radar.database, base, at, "CAN database")
    if config.simulation is not None and config.simulation.network is not None:
        network = config.simulation.network
        yield from check_files.file(network, base, ("simulation", "network"), "SUMO network")
    for section in _SUBSCRIBERS:
        for index, one in enumerate(getattr(config, section)):
            if isinstance(one, MqttOptions):
                yield from _broker(one, base, (section, index))
    if config.uplink is not None:
        yield from _broker(config.uplink, base, ("uplink",))


def _ports(config: SiteConfig) -> Iterator[Note]:
    """Each UDP port once per address; a socket on all addresses takes it everywhere."""
    taken: list[tuple[str, int, str]] = []
    for section in _LISTENERS:
        for index, one in enumerate(getattr(config, section)):
            key = "listen_port" if hasattr(one, "listen_port") else "local_port"
            port: int | None = getattr(one, key, None)
            if port is None:
                continue
            host = getattr(one, "listen_host", "0.0.0.0")  # noqa: S104 - what such drivers bind
            for other_host, other_port, owner in taken:
                together = host == other_host or not EVERYWHERE.isdisjoint({host, other_host})
                if port == other_port and together:
                    yield Note((section, index, key), f"{owner} listens there already")
                    break
            taken.append((host, port, f"{section.removesuffix('s')} '{one.id}'"))


def _broker(options: MqttOptions | UplinkOptions, base: Path, at: Location) -> Iterator[Note]:
    yield from check_files.secret(options.password_file, base, (*at, "password_file"))
    if options.password_file is not None and options.username is None:
        yield Note((*at, "password_file"), "a password without username is not sent")
    if options.tls is not None:
        yield from _tls(options.tls, base, (*at, "tls"))
    if isinstance(options, UplinkOptions):
        for index, key in enumerate(options.commands.keys):
            place = (*at, "commands", "keys", index, "file")
            yield from check_files.file(key.file, base, place, "public key")


def _tls(tls: TlsOptions, base: Path, at: Location) -> Iterator[Note]:
    if tls.ca_file is not None:
        yield from check_files.file(tls.ca_file, base, (*at, "ca_file"), "CA bundle")
    if tls.cert_file is not None:
        yield from check_files.file(tls.cert_file, base, (*at, "cert_file"), "certificate")
    yield from check_files.secret(tls.key_file, base, (*at, "key_file"))
    if (tls.cert_file is None) != (tls.key_file is None):
        missing = "cert_file" if tls.cert_file is None else "key_file"
        yield Note(at, f"a client certificate needs {missing} too")
