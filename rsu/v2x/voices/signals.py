"""The voice of SPAT: a controller's word is passed on at once and repeated while it is young.

Each intersection has its own rate. A controller that has spoken before and is silent for longer
than `max_evidence_age_s` stops its SPAT, with a decision; one that never spoke is not waited for.
"""

from __future__ import annotations

from rsu.config.v2x_messages import SignalMessageOptions
from rsu.schema.message import Message
from rsu.schema.signals import SignalState
from rsu.schema.topics import SIGNAL_STATE, Topic
from rsu.schema.units import NS_PER_S, Instant
from rsu.v2x.policy import Refusal
from rsu.v2x.speech import Evidence, Speech
from rsu.v2x.steps import OutOfRangeError
from rsu.v2x.voices.base import Repetition
from rsu.v2x.writers import SignalWriter

CONTROLLERS_MAX = 32
"""IntersectionStateList, SIZE (1..32)."""
TELL_NS = NS_PER_S
"""A silent controller is told once a second: the decision log merges no finer."""
FORGET_NS = 600 * NS_PER_S
"""A controller that has been silent this long is not spoken of any more."""


class _Controller:
    """What one controller said last."""

    def __init__(self, state: SignalState, rate_hz: float) -> None:
        self.state = state
        self.repetition = Repetition(rate_hz)
        self.heard_ns = 0
        self.told_ns: int | None = None


class SignalVoice:
    """SPAT of one set."""

    topics: tuple[Topic, ...] = (SIGNAL_STATE,)

    def __init__(self, speech: Speech, writer: SignalWriter, options: SignalMessageOptions) -> None:
        self._speech = speech
        self._writer = writer
        self._rate_hz = options.rate_hz
        self._silent_ns = round(options.max_evidence_age_s * NS_PER_S)
        self._controllers: dict[str, _Controller] = {}

    def hear(self, message: Message, now: Instant) -> list[Message]:
        """A controller's word: the newest counts."""
        state: SignalState = message.payload
        controller = self._controllers.get(state.controller)
        if controller is None:
            if len(self._controllers) >= CONTROLLERS_MAX:
                self._speech.withhold(
                    now, Refusal("too_many_controllers"), f"signal:{state.controller}"
                )
                return []
            controller = self._controllers[state.controller] = _Controller(state, self._rate_hz)
        elif (
            # An older word that comes later (another network path) must not undo a newer one,
            # unless the newer one is from the future: then the controller's clock was set right.
            state.capture_ns < controller.state.capture_ns
            and self._speech.gate.age_refusal(controller.state.capture_ns, now) is None
        ):
            self._speech.withhold(now, Refusal("superseded"), f"signal:{state.controller}")
            return []
        controller.state = state
        controller.heard_ns = now.mono_ns
        controller.told_ns = None
        return self._say(controller, now)

    def tick(self, now: Instant) -> list[Message]:
        """Repeat what is young; tell who is silent."""
        frames: list[Message] = []
        for name, controller in list(self._controllers.items()):
            silent_ns = now.mono_ns - controller.heard_ns
            if silent_ns > FORGET_NS:
                del self._controllers[name]
            elif silent_ns > self._silent_ns:
                if controller.told_ns is None or now.mono_ns - controller.told_ns >= TELL_NS:
                    detail = f"{name}: last heard {silent_ns / NS_PER_S:.1f} s ago"
                    self._speech.withhold(now, Refusal("controller_silent", detail))
                    controller.told_ns = now.mono_ns
            elif controller.repetition.due(now):
                frames += self._say(controller, now)
        return frames

    def _say(self, controller: _Controller, now: Instant) -> list[Message]:
        state = controller.state
        if not self._speech.fresh(state.capture_ns, now):
            return []
        if not self._speech.allowed(now, key=state.controller):
            return []
        controller.repetition.done(now)
        try:
            content = self._writer.content(self._speech.count, state)
        except OutOfRangeError as error:
            self._speech.withhold(now, Refusal("out_of_range", str(error)))
            return []
        evidence = Evidence(state.capture_ns, state.capture_ns)
        return self._speech.say(content, now, evidence, "signal_state")
