"""Greens and cycles of signal groups, from what the controller says.

In: signal states. Out: which groups are green, and a `Turn` whenever a group's green begins. A
cycle is the time from one start of green to the next (HCM 2010, 18-3: cycle).
"""

from __future__ import annotations

from dataclasses import dataclass

from rsu.schema.signals import LightState, SignalState
from rsu.schema.units import NS_PER_S

GREENS = frozenset(
    {LightState.PROTECTED_GREEN, LightState.PERMISSIVE_GREEN, LightState.FLASHING_GREEN}
)
SILENT_NS = 2 * NS_PER_S
"""Controllers speak ten times a second; what one said this long ago does not hold any more."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A group turns green; `green_ns` is how long it has been green in all so far."""

    group: int
    time_ns: int
    green_ns: int


class Lights:
    """Remembers what every group shows."""

    def __init__(self) -> None:
        self._green: dict[int, bool] = {}
        self._green_ns: dict[int, int] = {}
        self._said_ns: int | None = None

    def hear(self, state: SignalState) -> tuple[list[Turn], bool]:
        """Groups that turn green now, and whether what was known before still held."""
        last, self._said_ns = self._said_ns, state.capture_ns
        held = last is not None and 0 <= state.capture_ns - last <= SILENT_NS
        turns = []
        for group in state.groups:
            green = group.light in GREENS
            was = self._green.get(group.group)
            total_ns = self._green_ns.get(group.group, 0)
            if held and was and last is not None:
                total_ns += state.capture_ns - last
                self._green_ns[group.group] = total_ns
            if held and green and was is False:
                turns.append(Turn(group.group, state.capture_ns, total_ns))
            if group.light is LightState.UNAVAILABLE:
                self._green.pop(group.group, None)
            else:
                self._green[group.group] = green
        return turns, held

    def forget(self) -> None:
        """The clock was set back."""
        self._green.clear()
        self._said_ns = None

    def green(self, groups: frozenset[int], time_ns: int) -> bool | None:
        """Whether any of some groups is green; None where that is not known."""
        if self._said_ns is None or abs(time_ns - self._said_ns) > SILENT_NS:
            return None
        shown = [self._green[group] for group in groups if group in self._green]
        return any(shown) if shown else None
