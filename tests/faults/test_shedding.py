"""Row 28 and 39 in a real unit: too much to do, frames are left out, it is told, and it ends."""

from __future__ import annotations

import signal
from typing import Any

import pytest

from rsu.runtime.status import Request, ask_unit

pytestmark = [pytest.mark.component, pytest.mark.timeout(300)]


def test_row_28_a_unit_with_too_much_to_do_looks_less_often_and_says_so(
    make_unit: Any, parts: Any
) -> None:
    unit = make_unit(parts.free_tcp_port())
    text = unit.site.read_text(encoding="utf-8")
    # A budget that any machine exceeds on which a unit has just been started.
    budget = "  shed: {load: 0.001, worse_s: 0.1, better_s: 0.1}\n"
    unit.site.write_text(text + budget, encoding="utf-8")
    unit.start()

    def level() -> int:
        return int((unit.status()["unit"] or {}).get("shed_level", 0))

    def frames(what: str) -> float:
        return float(sum(unit.metric(f"camera:cam{n}", what) for n in range(2)))

    parts.wait_until(lambda: level() == 5, 90.0, unit.log)
    parts.wait_until(lambda: frames("frames_shed_total") > 20, 60.0, unit.log)
    status = unit.status()
    assert any("shedding load, level 5: load" in why for why in status["degraded"])
    assert status["ready"]  # it says less, and goes on
    assert unit.metric("unit", "shed_level") == 5
    trace = ask_unit(unit.sockets, Request("decisions", "unit"), timeout_s=10)["decisions"]
    shed = [one for one in trace if one["reason"] == "load_shed"]
    assert [one["detail"].partition(":")[0] for one in shed] == [f"level {n}" for n in range(1, 6)]
    # Two looks a second of ten frames: four of five are left out. What is seen is still said.
    seen, left_out = frames("frames_total"), frames("frames_shed_total")
    unit.speaks_on(5)
    parts.wait_until(lambda: frames("frames_shed_total") >= left_out + 40, 60.0, unit.log)
    looked, skipped = frames("frames_total") - seen, frames("frames_shed_total") - left_out
    assert looked / (looked + skipped) < 0.4
    parts.wait_until(lambda: unit.metric("recorder", "recording_shed_total") > 0, 60.0, unit.log)

    # Without a budget everything comes back.
    unit.site.write_text(text + "  shed: {enabled: false}\n", encoding="utf-8")
    unit.process.send_signal(signal.SIGHUP)
    parts.wait_until(lambda: level() == 0, 60.0, unit.log)
    assert not any("shedding" in why for why in unit.status()["degraded"])
    assert unit.end() == 0
    said = [line for line in unit.log() if line.get("event") in ("load shed", "load restored")]
    assert [line["shed_level"] for line in said if line["event"] == "load shed"] == [1, 2, 3, 4, 5]
    assert said[-1]["event"] == "load restored"
