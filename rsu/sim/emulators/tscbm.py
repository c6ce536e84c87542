"""A signal controller that sends TSCBM datagrams: `SignalState` → octets of the real protocol.

Written from the layout (SAE facts 4.4), not from our decoder, so that one checks the other. What
the wire cannot say is lost as on a real one: parts of tenths, protected greens, starts and flags.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping

from rsu.config.signals import NEMA_PHASES, TscbmGroup
from rsu.schema.signals import LightState, SignalGroup, SignalState
from rsu.schema.units import NS_PER_MS, NS_PER_S

_TENTH_NS = NS_PER_S // 10
_UNKNOWN = 0xFFFF
_LONGEST = 0xFFFE
_GREENS = frozenset(
    {LightState.PERMISSIVE_GREEN, LightState.PROTECTED_GREEN, LightState.FLASHING_GREEN}
)
_REDS = frozenset({LightState.RED, LightState.FLASHING_RED})
_YELLOWS = frozenset({LightState.YELLOW, LightState.FLASHING_YELLOW})
_FLASHING = frozenset(
    {LightState.FLASHING_RED, LightState.FLASHING_YELLOW, LightState.FLASHING_GREEN}
)
_MAPS = (
    ("vehicle", "red"), ("vehicle", "yellow"), ("vehicle", "green"),
    ("pedestrian", "red"), ("pedestrian", "yellow"), ("pedestrian", "green"),
    ("overlap", "red"), ("overlap", "yellow"), ("overlap", "green"),
    ("vehicle", "flashing"), ("overlap", "flashing"),
)  # fmt: skip
"""In the order of the datagram; a pedestrian's yellow is its clearance."""


def write_tscbm(
    state: SignalState, sequence: int, groups: tuple[TscbmGroup, ...] = NEMA_PHASES
) -> bytes:
    """The 241 octets of a state. Outputs that no group has are red, as known controllers
    report unused ones; groups without an output are left out."""
    shown = {group.group: group for group in state.groups}
    outputs: dict[tuple[str, int], SignalGroup] = {
        (entry.kind, entry.number): shown[entry.group] for entry in groups if entry.group in shown
    }
    octets = bytearray([0xCD, 16])
    for number in range(1, 17):
        octets.append(number)
        for kind in ("vehicle", "pedestrian", "overlap"):
            group = outputs.get((kind, number))
            for ends_ns in () if group is None else (group.min_end_ns, group.max_end_ns):
                octets += _tenths(ends_ns, state.capture_ns)
            if group is None:
                octets += bytes(4)
    for kind, colour in _MAPS:
        octets += _bitmap(outputs, kind, colour).to_bytes(2, "big")
    octets += bytes([0, 0, 1 << 3, sequence % 256])
    in_day_ns = state.capture_ns % (86_400 * NS_PER_S)
    octets += (in_day_ns // NS_PER_S).to_bytes(3, "big")
    octets += (in_day_ns % NS_PER_S // NS_PER_MS).to_bytes(2, "big")
    return bytes(octets)


class TscbmEmulator:
    """Sends states to one address; its sequence is the lower octet of tenths of seconds of
    uptime, and it came up at the Unix epoch."""

    def __init__(self, host: str, port: int, groups: tuple[TscbmGroup, ...] = NEMA_PHASES) -> None:
        self._to = (host, port)
        self._groups = groups
        self._socket: socket.socket | None = None

    def open(self) -> None:
        """Get a socket; does nothing when there is one. May raise OSError."""
        if self._socket is None:
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def send(self, state: SignalState) -> None:
        """One datagram; may raise OSError."""
        assert self._socket is not None, "not open"
        octets = write_tscbm(state, state.capture_ns // _TENTH_NS, self._groups)
        self._socket.sendto(octets, self._to)

    def close(self) -> None:
        opened, self._socket = self._socket, None
        if opened is not None:
            opened.close()


def _tenths(end_ns: int | None, now_ns: int) -> bytes:
    tenths = _UNKNOWN if end_ns is None else min((end_ns - now_ns) // _TENTH_NS, _LONGEST)
    return max(tenths, 0).to_bytes(2, "big")


def _bitmap(outputs: Mapping[tuple[str, int], SignalGroup], kind: str, colour: str) -> int:
    bits = 0
    for number in range(1, 17):
        group = outputs.get((kind, number))
        lit = colour == "red" if group is None else colour in _colours(group.light, kind)
        bits |= lit << (number - 1)
    return bits


def _colours(light: LightState, kind: str) -> frozenset[str]:
    """Which of an output's bits are on."""
    if light in _REDS:
        colour = "red"
    elif light in _YELLOWS or (kind == "pedestrian" and light is LightState.FLASHING_GREEN):
        colour = "yellow"
    elif light in _GREENS:
        colour = "green"
    else:
        return frozenset()
    return frozenset({colour, "flashing"} if light in _FLASHING else {colour})
