"""Fixtures that every part's tests share: the shared facts folder, free ports, skips that count.

Real components (brokers, models, third-party vectors) may be missing on a machine; a test that
needs one skips with the reason. On CI a skipped component test is a failure: a check that silently
stops running is worse than a red one.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from rsu.v2x.codec import schema_text

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
def pycrate_decode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[bytes], Any]]:
    """Decodes a frame with pycrate, an independent codec, over the same ASN.1 text.

    Asserts that pycrate encodes what it decoded to the same octets, and returns it in JSON form.
    """
    asnproc = pytest.importorskip("pycrate_asn1c.asnproc")
    target = Path(tmp_path_factory.mktemp("pycrate")) / "csae53_2020.py"
    asnproc.compile_text(schema_text("csae53_2020"))
    asnproc.generate_modules(asnproc.PycrateGenerator, str(target))
    asnproc.GLOBAL.clear()
    spec = importlib.util.spec_from_file_location("pycrate_csae53_2020", target)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    frame = module.MsgFrame.MessageFrame

    def decode(octets: bytes) -> Any:
        frame.from_uper(octets)
        assert frame.to_uper() == octets
        return _json_form(frame.get_val())

    yield decode
    asnproc.GLOBAL.clear()


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
