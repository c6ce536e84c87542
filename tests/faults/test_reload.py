"""SIGHUP: a running unit takes its site file in, and only whom it concerns starts anew."""

from __future__ import annotations

import signal
from typing import Any

import pytest

pytestmark = [pytest.mark.component, pytest.mark.timeout(300)]


def test_a_running_unit_takes_its_site_file_in(make_unit: Any, parts: Any) -> None:
    unit = make_unit(parts.free_tcp_port())
    unit.start()

    def pids() -> dict[str, int]:
        return {n: p["pid"] for n, p in parts.processes(unit.status()).items()}

    def reload(old: str, new: str) -> dict[str, int]:
        """The processes before the change."""
        before = pids()
        text = unit.site.read_text(encoding="utf-8")
        assert old in text
        unit.site.write_text(text.replace(old, new), encoding="utf-8")
        unit.notifications()
        unit.process.send_signal(signal.SIGHUP)
        return before

    def ready() -> None:
        said: list[str] = []
        parts.wait_until(
            lambda: said.extend(unit.notifications()) or "READY=1" in said, 90.0, unit.log
        )
        assert "RELOADING=1" in said[: said.index("READY=1")]

    # The uplink's section: the uplink alone.
    before = reload("tracks_s: 0.2", "tracks_s: 0.5")
    ready()
    after = pids()
    assert {name for name in after if after[name] != before[name]} == {"uplink"}
    assert parts.all_running(unit.status())

    # A broken file: one line says where, nothing changes.
    before = reload("heartbeat_s: 3", "heartbeat_s: -3")
    ready()
    [refused] = [line for line in unit.log() if line.get("event") == "reload refused"]
    assert "site.yaml:" in refused["problem"]
    assert "heartbeat_s" in refused["problem"]
    assert pids() == before

    # Limits of the supervisor: nobody starts anew. The level reaches all.
    before = reload("heartbeat_s: -3", "heartbeat_s: 4\n  log_level: warning")
    parts.wait_until((unit.sockets / "log-level").is_file, 60.0, unit.log)
    assert (unit.sockets / "log-level").read_text() == "warning"
    ready()
    assert pids() == before

    # One camera less: its process goes, the core thinks anew, the other camera goes on.
    text = unit.site.read_text(encoding="utf-8")
    camera = text[text.index("  - id: cam1") : text.index("v2x:")]
    before = reload(camera, "")
    ready()
    after = pids()
    assert set(before) - set(after) == {"camera:cam1"}
    assert {name for name in after if after[name] != before[name]} == {"core"}
    assert set(unit.status()["sensors"]) == {"cam0"}
    unit.speaks_on()

    # What the supervisor stands on: all of it, in place.
    daemon = unit.process.pid
    before = reload("heartbeat_s: 4", f"heartbeat_s: 4\n  metrics_port: {parts.free_tcp_port()}")
    ready()
    after = pids()
    assert not set(after.values()) & set(before.values())
    assert unit.process.pid == daemon
    assert unit.process.poll() is None
    unit.speaks_on()
    assert unit.end() == 0
