"""A signal controller that answers GB/T 20999-2017 over UDP, driven by the simulated plan.

`SignalState` in, datagrams of the real protocol out: answers to questions, reports unasked. Lamp
group n and phase n are group n of the plan; a stage is a set of groups whose greens begin together.
The frame's layout is shared with the driver (`rsu.hal.signal.gbt20999_frame`, tested against octets
made by hand); which value stands where is written here anew.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rsu.hal.signal.gbt20999_frame import (
    Frame,
    FrameError,
    FrameType,
    Item,
    read_frame,
    write_frame,
)
from rsu.schema.signals import LightState, SignalState
from rsu.schema.units import NS_PER_S
from rsu.sim.world.signals import GREENS, SignalPlan

_LAMPS = {
    LightState.UNAVAILABLE: 0x00,
    LightState.DARK: 0x01,
    LightState.RED: 0x10,
    LightState.FLASHING_RED: 0x11,
    LightState.PERMISSIVE_GREEN: 0x20,
    LightState.PROTECTED_GREEN: 0x20,
    LightState.FLASHING_GREEN: 0x21,
    LightState.YELLOW: 0x30,
    LightState.FLASHING_YELLOW: 0x31,
}
_FIXED_CYCLE = 0x21


@dataclass(frozen=True, slots=True)
class Stage:
    """Groups that are green together; `early_s`: how long before the last of them one ends."""

    groups: frozenset[int]
    early_s: dict[int, int] = field(default_factory=dict)


def stages_of(plan: SignalPlan) -> tuple[Stage, ...]:
    """The stages of a plan in the order of its cycle."""
    spells: dict[int, dict[int, int]] = {}
    for group, lights in plan.groups.items():
        for i, spell in enumerate(lights):
            if spell.light in GREENS and len(lights) > 1:
                end_ns = lights[(i + 1) % len(lights)].start_ns
                length_ns = (end_ns - spell.start_ns) % plan.cycle_ns
                spells.setdefault(spell.start_ns, {})[group] = length_ns
    stages = []
    for _, greens in sorted(spells.items()):
        longest_ns = max(greens.values())
        early = {g: round((longest_ns - length) / NS_PER_S) for g, length in greens.items()}
        stages.append(Stage(frozenset(greens), {g: s for g, s in early.items() if s}))
    return tuple(stages)


class Gbt20999Server:
    """A controller on one UDP port of loopback, answering from a thread of its own.

    `now` gives the state to answer with, None to stay silent. Reports go to whoever asked last.
    `demands` are the stages whose software demand is set.
    """

    def __init__(
        self,
        now: Callable[[], SignalState | None],
        stages: Sequence[Stage],
        *,
        port: int = 0,
        controller_id: int = 1,
        road_id: int = 1,
        escaped: bool = False,
    ) -> None:
        self._now = now
        self._stages = tuple(stages)
        self._controller_id, self._road_id, self._escaped = controller_id, road_id, escaped
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._asker: tuple[str, int] | None = None
        self.port = port
        self.questions = 0
        self.demands: frozenset[int] = frozenset()
        self.heartbeats_answered = 0

    def open(self) -> None:
        """Listen (`port` says where) and answer; does nothing when open. May raise OSError."""
        if self._socket is not None:
            return
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            opened.bind(("127.0.0.1", self.port))
        except OSError:
            opened.close()
            raise
        opened.settimeout(0.1)  # how soon closing is noticed
        self.port = opened.getsockname()[1]
        self._socket = opened
        self._thread = threading.Thread(target=self._serve, args=(opened,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop; does nothing when closed."""
        opened, self._socket = self._socket, None
        if opened is None or self._thread is None:
            return
        self._thread.join()
        opened.close()
        self._asker = None

    def report(self, state: SignalState, sequence: int) -> None:
        """Send a state unasked; nobody gets it before somebody asked."""
        self.send(self._frame(FrameType.REPORT, sequence, self._lamps(state)))

    def heartbeat(self, sequence: int) -> None:
        """Ask whether the other side lives."""
        self.send(self._frame(FrameType.HEARTBEAT, sequence, ()))

    def send(self, octets: bytes) -> None:
        """Any octets to whoever asked last."""
        opened, asker = self._socket, self._asker
        if opened is not None and asker is not None:
            with contextlib.suppress(OSError):  # whoever asked may be gone
                opened.sendto(octets, asker)

    def answer(self, octets: bytes) -> bytes | None:
        """What a datagram is answered with, None for nothing."""
        try:
            frame = read_frame(octets, escaped=self._escaped)
        except FrameError:
            return None
        if frame.type == FrameType.SET and frame.controller == self._controller_id:
            return self._set(frame)
        self.heartbeats_answered += frame.type == FrameType.HEARTBEAT_REPLY
        if frame.type != FrameType.QUERY or frame.controller != self._controller_id:
            return None
        self.questions += 1
        state = self._now()
        if state is None:
            return None
        items = []
        for asked in frame.items:
            data = self._value(asked, state)
            if data is None:
                wrong = Item(asked.class_, asked.object, asked.attribute, asked.element, b"\x10")
                return self._frame(FrameType.QUERY_ERROR, frame.sequence, (wrong,))
            items.append(Item(asked.class_, asked.object, asked.attribute, asked.element, data))
        return self._frame(FrameType.REPLY, frame.sequence, tuple(items))

    def _set(self, frame: Frame) -> bytes:
        """Only the software demand of stages can be set."""
        for item in frame.items:
            stage, value = item.element, item.data
            if item.key != (6, 4, 2) or not 0 < stage <= len(self._stages) or value > b"\1":
                wrong = Item(*item.key, item.element, b"\x20")  # read only
                return self._frame(FrameType.SET_ERROR, frame.sequence, (wrong,))
        for item in frame.items:
            self.demands = self.demands - {item.element}
            if item.data == b"\1":
                self.demands = self.demands | {item.element}
        said = tuple(Item(*item.key, item.element) for item in frame.items)
        return self._frame(FrameType.SET_REPLY, frame.sequence, said)

    def _serve(self, opened: socket.socket) -> None:
        while self._socket is opened:
            try:
                octets, asker = opened.recvfrom(65_535)
            except OSError:  # nothing came in time, or the asker is gone
                continue
            self._asker = asker
            answer = self.answer(octets)
            if answer is not None:
                self.send(answer)

    def _value(self, asked: Item, state: SignalState) -> bytes | None:
        element = asked.element
        most = max((group.group for group in state.groups), default=0)
        stage = self._stages[element - 1] if 0 < element <= len(self._stages) else None
        data: bytes | None = None
        match asked.class_, asked.object, asked.attribute:
            case (3, 1, 0) | (4, 1, 0):
                data = bytes([most])
            case (6, 1, 0):
                data = bytes([len(self._stages)])
            case (3, 3, 1):
                lamps = dict.fromkeys(range(1, most + 1), 0x01)
                lamps |= {group.group: _LAMPS[group.light] for group in state.groups}
                if element == 0:
                    data = bytes(lamps[n] for n in sorted(lamps))
                elif element in lamps:
                    data = bytes([lamps[element]])
            case (4, 2, 2) if 0 < element <= most:
                data = bytes([element])
            case (6, 2, 2) if stage is not None:
                data = sum(1 << (group - 1) for group in stage.groups).to_bytes(8, "big")
            case (6, 2, 4) if stage is not None:
                data = bytes(stage.early_s.get(n, 0) for n in range(1, 65))
            case (6, 3, 4) if stage is not None:
                data = self._remaining_s(stage, state).to_bytes(4, "big")
            case (13, 2, 2) if element in (0, self._road_id):
                data = bytes([_FIXED_CYCLE])
            case (13, 2, 4) if element in (0, self._road_id):
                data = bytes([self._current(state)])
        return data

    def _current(self, state: SignalState) -> int:
        """The stage that is green, 0 between stages."""
        green = {group.group for group in state.groups if group.light in GREENS}
        return next((n for n, stage in enumerate(self._stages, 1) if green & stage.groups), 0)

    @staticmethod
    def _remaining_s(stage: Stage, state: SignalState) -> int:
        """Whole seconds, begun ones too, until the stage's last green is over; 0 if it has none."""
        left_ns = [
            group.likely_end_ns - state.capture_ns + stage.early_s.get(group.group, 0) * NS_PER_S
            for group in state.groups
            if group.group in stage.groups
            and group.light in GREENS
            and group.likely_end_ns is not None
        ]
        return -(-max(left_ns) // NS_PER_S) if left_ns else 0

    @staticmethod
    def _lamps(state: SignalState) -> tuple[Item, ...]:
        return tuple(
            Item(3, 3, 1, group.group, bytes([_LAMPS[group.light]])) for group in state.groups
        )

    def _frame(self, type_: FrameType, sequence: int, items: tuple[Item, ...]) -> bytes:
        frame = Frame(
            type_, sequence % 256, items, controller=self._controller_id, road=self._road_id
        )
        return write_frame(frame, escaped=self._escaped)
