"""The V2X stage: facts and unit health in, messages of the configured sets and decisions out.

The stage only passes facts to its voices (`repertoire`, `voices`); each of them decides whether its
message is said now (`policy`), a writer says what (`csae`, `sae`), and `speech` makes the frame.
Every road user, event or message that is not said leaves a decision with its reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rsu.config.v2x import V2xOptions
from rsu.schema.decision_log import DecisionLog
from rsu.schema.events import RoadSign
from rsu.schema.health import Verdict
from rsu.schema.message import Message
from rsu.schema.topics import DECISION, UNIT_HEALTH, V2X_PUSHED, V2X_TX, Topic
from rsu.schema.units import Instant
from rsu.v2x.policy import UnitState
from rsu.v2x.repertoire import Surroundings, voices_of
from rsu.v2x.unit import Unit
from rsu.v2x.voices.base import TICK_NS


class V2xStage:
    """States what the unit knows. `boot` seeds msgCnt.

    Raises V2xError when place, height, map or application id cannot be carried.
    """

    name = "v2x"
    outputs: tuple[Topic, ...] = (V2X_TX, DECISION)
    period_ns: int | None = TICK_NS

    def __init__(
        self, options: V2xOptions, unit: Unit, boot: Instant, signs: Sequence[RoadSign] = ()
    ) -> None:
        self._log = DecisionLog(self.name)
        self._state = UnitState(boot, trust_clock=options.trust_clock)
        around = Surroundings(self.name, unit, self._state, self._log, boot)
        self._voices = voices_of(options, signs, around)
        self._profiles = {one.profile for one in (options.csae, options.sae) if one is not None}
        heard = {topic.name: topic for voice in self._voices for topic in voice.topics}
        self.inputs: tuple[Topic, ...] = (
            UNIT_HEALTH, *(topic for _, topic in sorted(heard.items()))
        )  # fmt: skip

    def handle(self, message: Message, now: Instant) -> Iterable[Message]:
        """Give a fact to every voice that wants it; remember the unit's health."""
        if message.topic == UNIT_HEALTH:
            self._state.update(message.payload, now)
            return []
        if message.topic == V2X_PUSHED and message.payload.profile not in self._profiles:
            detail = f"{message.payload.profile} is not spoken here"
            self._log.note(
                now, f"pushed:{message.payload.key}", Verdict.WITHHELD, "not_relayed", detail
            )
        frames: list[Message] = []
        for voice in self._voices:
            if message.topic in voice.topics:
                frames += voice.hear(message, now)
        return [*frames, *self._log.drafts(now)]

    def tick(self, now: Instant) -> Iterable[Message]:
        """Let every voice look at the time; tell merged decisions."""
        frames: list[Message] = []
        for voice in self._voices:
            frames += voice.tick(now)
        return [*frames, *self._log.drafts(now)]
