"""Fixtures that every part's tests share: the shared facts folder, free ports, skips that count.

Real components (brokers, models, third-party vectors) may be missing on a machine; a test that
needs one skips with the reason. On CI a skipped component test is a failure: a check that silently
stops running is worse than a red one.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from rsu.v2x.codec import codec_for, schema_text
from rsu.v2x.open_types import OPEN_TYPES

# The same examples on every run and machine; HYPOTHESIS_PROFILE=search looks for new ones.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

ROOT = Path(__file__).resolve().parent.parent
ON_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}


def unavailable(reason: str) -> None:
    """Skip, or fail on CI, because a real component is missing."""
    if ON_CI:
        pytest.fail(f"needed on CI: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session", autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What commands keep for the user (the audit log of exports) stays in the tests' folder."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared facts, vectors and data beside the checkout."""
    folder = ROOT.parent / "shared"
    if not (folder / "README.md").is_file():
        unavailable("no ../shared folder with vectors and data beside this checkout")
    return folder


@pytest.fixture(scope="session")
def mosquitto() -> Path:
    """The mosquitto broker's binary (Debian package `mosquitto`)."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if found is None:
        unavailable("no mosquitto binary: install the Debian package `mosquitto`")
    return Path(str(found))


@pytest.fixture
def free_port() -> int:
    """A loopback port that was free a moment ago (TCP and UDP)."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def pycrate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Any]]:
    """`pycrate(profile)` decodes frames with pycrate, an independent codec, over the same ASN.1
    text: it asserts that pycrate encodes what it decoded to the same octets, and returns it in
    JSON form, the value of an open type as its id announces it."""
    asnproc = pytest.importorskip("pycrate_asn1c.asnproc")
    oracles: dict[str, _Pycrate] = {}

    def decoder(profile: str) -> Callable[[bytes], Any]:
        if profile not in oracles:
            folder = tmp_path_factory.mktemp("pycrate")
            oracles[profile] = _Pycrate(asnproc, profile, folder / f"{profile}.py")
        return oracles[profile].frame

    yield decoder
    importlib.import_module("pycrate_asn1rt.glob").GLOBAL.clear()


@pytest.fixture(scope="session")
def pycrate_decode(pycrate: Callable[[str], Any]) -> Callable[[bytes], Any]:
    """Decodes a frame of T/CSAE 53-2020 with pycrate."""
    return pycrate("csae53_2020")


@pytest.fixture(scope="session")
def said(pycrate: Callable[[str], Any]) -> Callable[[str, str, Any], bytes]:
    """`said(profile, message, content)`: the frame's octets, after asserting that both pycrate and
    our codec read them as that content."""

    def encode(profile: str, message: str, content: Any) -> bytes:
        codec = codec_for(profile)
        frame = codec.frame(message, content)
        octets = codec.encode(frame)
        assert codec.decode(octets) == frame
        assert pycrate(profile)(octets) == frame
        return octets

    return encode


@pytest.fixture(scope="session")
def metres_to_steps() -> Callable[..., tuple[int, int]]:
    """(longitude, latitude) in steps of 1e-7 degree of (x, y) in m from a place near by.

    By the radii of curvature of the WGS-84 ellipsoid, which is not how the runtime does it; exact
    to a tenth of a step within 100 m.
    """

    def offset(x: float, y: float, latitude: float, altitude: float) -> tuple[int, int]:
        a, e2 = 6_378_137.0, 6.69437999014e-3
        sine = math.sin(math.radians(latitude))
        across = a / math.sqrt(1 - e2 * sine**2)
        along = a * (1 - e2) / (1 - e2 * sine**2) ** 1.5
        east = math.degrees(x / ((across + altitude) * math.cos(math.radians(latitude))))
        north = math.degrees(y / (along + altitude))
        return math.floor(east * 1e7 + 0.5), math.floor(north * 1e7 + 0.5)

    return offset


class _Pycrate:
    """One profile, compiled by pycrate into a module at `target`."""

    def __init__(self, asnproc: Any, profile: str, target: Path) -> None:
        self._global = importlib.import_module("pycrate_asn1rt.glob").GLOBAL
        self._global.clear()
        asnproc.compile_text(schema_text(profile))
        asnproc.generate_modules(asnproc.PycrateGenerator, str(target))
        asnproc.GLOBAL.clear()
        spec = importlib.util.spec_from_file_location(f"pycrate_{profile}", target)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self._modules = dict(self._global.MOD.items())
        self._open_types = OPEN_TYPES.get(profile, {})

    def frame(self, octets: bytes) -> Any:
        # Types refer to one another through this table, and every profile names its modules alike.
        self._global.MOD.clear()
        self._global.MOD.update(self._modules)
        value = _json_form(self._decode("MessageFrame", octets))
        extended = value.get("msgFrameExt")
        if extended is not None:
            opened = self._open_types["MessageFrameExt", "value"].types[extended["messageId"]]
            inner = self._decode(opened, bytes.fromhex(extended["value"]))
            extended["value"] = {opened: _json_form(inner)}
        return value

    def _decode(self, name: str, octets: bytes) -> Any:
        (found,) = [module[name] for module in self._modules.values() if name in module["_type_"]]
        found.from_uper(octets)
        assert found.to_uper() == octets
        return found.get_val()


def _json_form(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _json_form(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_json_form(inner) for inner in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple) and isinstance(value[0], str):
        return {value[0]: _json_form(value[1])}
    if isinstance(value, tuple):
        number, bits = value
        return {"bits": f"{number:0{bits}b}" if bits else ""}
    return value


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """Two CAs; server keys for localhost by the first, one of them long expired."""
    folder = tmp_path / "tls"
    folder.mkdir()

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    for name in ("ca", "other"):
        openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", f"{name}.key", "-out", f"{name}.pem", "-days", "30",
            "-subj", f"/CN=test {name}", "-addext", "keyUsage=critical,keyCertSign",
        )  # fmt: skip
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    openssl(
        "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
        "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=localhost",
    )  # fmt: skip
    for name, days in (("server", "30"), ("expired", "-1")):
        openssl(
            "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-set_serial", "7", "-days", days, "-out", f"{name}.pem", "-extfile", "names",
        )  # fmt: skip
    return folder


@pytest.fixture
def tls_lines(certificates: Path) -> Callable[..., str]:
    """mosquitto's configuration of a TLS listener with one of the server `certificates`."""

    def lines(certificate: str = "server") -> str:
        return (
            f"allow_anonymous true\ncafile {certificates}/ca.pem\n"
            f"certfile {certificates}/{certificate}.pem\nkeyfile {certificates}/server.key\n"
        )

    return lines
