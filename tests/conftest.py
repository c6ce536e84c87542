"""Fixtures that every part's tests share: the shared facts folder, free ports, skips that count.

Real components (brokers, models, third-party vectors) may be missing on a machine; a test that
needs one skips with the reason. On CI a skipped component test is a failure: a check that silently
stops running is worse than a red one.
"""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

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
