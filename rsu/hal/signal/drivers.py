"""The table of signal controller drivers; `rsu.hal.device.make_device` loads from it."""

from __future__ import annotations

ENTRY_POINTS = "rsu.drivers.signal"

DRIVERS = {
    "tscbm": "rsu.hal.signal.tscbm:TscbmController",
    "gbt20999": "rsu.hal.signal.gbt20999:Gbt20999Controller",
    "fixed_plan": "rsu.hal.signal.fixed_plan:FixedPlanController",
}
