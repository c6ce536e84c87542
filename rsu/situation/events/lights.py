"""What the signals showed lately: the light of each group at any moment of the last seconds.

In: `SignalState`s. Out: whether a group was red throughout a stretch of time, where that is known.
"""

from __future__ import annotations

from collections import deque

from rsu.schema.signals import LightState, SignalState
from rsu.schema.units import NS_PER_S

KEPT_NS = 10 * NS_PER_S
STALE_NS = 2 * NS_PER_S  # controllers speak every 100 ms to 1 s; what is older is not known


class Lights:
    """Remembers the lights of all groups; groups are numbered once per site."""

    def __init__(self) -> None:
        self._shown: dict[int, deque[tuple[int, LightState]]] = {}
        self._heard_ns: dict[int, int] = {}

    def hear(self, state: SignalState) -> None:
        """One word of a controller."""
        for group in state.groups:
            shown = self._shown.setdefault(group.group, deque(maxlen=64))
            if not shown or shown[-1][1] is not group.light:
                shown.append((state.capture_ns, group.light))
            while len(shown) > 1 and shown[1][0] < state.capture_ns - KEPT_NS:
                shown.popleft()
            self._heard_ns[group.group] = state.capture_ns

    def red_throughout(self, group: int, begin_ns: int, end_ns: int) -> bool:
        """Surely red all the time between; False where that is not known."""
        shown = self._shown.get(group)
        if not shown or end_ns - self._heard_ns[group] > STALE_NS or shown[0][0] > begin_ns:
            return False
        before = [light for at, light in shown if at <= begin_ns][-1]
        within = [light for at, light in shown if begin_ns < at <= end_ns]
        return all(light is LightState.RED for light in (before, *within))

    def forget(self) -> None:
        """The clock was set back."""
        self._shown.clear()
        self._heard_ns.clear()
