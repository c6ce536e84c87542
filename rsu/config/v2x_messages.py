"""What every message on the air is configured by, one model per kind of fact it rests on.

Rates and priorities of the Chinese set: T/CSAE 159-2020 cl. 5.4 and 5.5 as facts peers.md (§1) has
them; of the SAE set: facts sae.md §6. Priorities are on the network layer's 0..255 scale of T/CSAE
159-2020, the highest most urgent; radios that know eight take its three highest bits.
"""

from collections.abc import Iterator

from pydantic import Field

from rsu.config.base import NonNegative, Options, Positive
from rsu.schema.health import Capability

PERCEIVES_NOTHING = (Capability.SIGNALS_ONLY, Capability.BLIND)
"""Where there is no look at the road, nothing is said about it, not even that it is empty."""


class MessageOptions(Options):
    """One message: who it is for, how often, and when it is withheld."""

    enabled: bool = False
    aid: int = Field(
        ge=0, le=0x1020407F, description="Application id (AID) or PSID value, not p-encoded."
    )
    priority: int = Field(ge=0, le=255, description="Network priority, 255 the most urgent.")
    channel: int | None = Field(
        None, ge=0, le=255, description="Channel number; none: the radio's own."
    )
    rate_hz: float = Field(gt=0, le=10.0, description="Highest rate, Hz.")
    max_evidence_age_s: Positive = Field(
        0.5, description="What rests on older evidence is withheld, s."
    )
    withhold_when: tuple[Capability, ...] = Field(
        (), description="Capabilities of the unit in which this message is not said."
    )


class TrackMessageOptions(MessageOptions):
    """A message about road users: said right after the tracks it rests on."""

    rate_hz: float = Field(10.0, gt=0, le=10.0, description="Highest rate, Hz.")
    silence_s: Positive = Field(
        1.0, description="With no road user at all the unit still states itself this often, s."
    )
    max_frames: int = Field(
        4, ge=1, le=64, description="Frames per cycle; who finds no place in them takes turns."
    )
    withhold_when: tuple[Capability, ...] = PERCEIVES_NOTHING


class SignalMessageOptions(MessageOptions):
    """A message about signals: said with every word of the controller, repeated in between."""

    rate_hz: float = Field(10.0, gt=0, le=10.0, description="Rate, Hz.")
    max_evidence_age_s: Positive = Field(
        0.3, description="With a controller silent for longer the message stops, s (sae.md §6)."
    )


class StandingMessageOptions(MessageOptions):
    """A message whose content stands while the unit runs."""

    rate_hz: float = Field(1.0, gt=0, le=10.0, description="Rate, Hz.")


class EventMessageOptions(MessageOptions):
    """A message about events: said at their onset, repeated while they last."""

    rate_hz: float = Field(1.0, gt=0, le=10.0, description="Rate of repetition, Hz.")
    max_evidence_age_s: Positive = Field(
        5.0, description="An event last known to hold longer ago is not said any more, s."
    )


class AnswerMessageOptions(MessageOptions):
    """A message that carries the newest state of something: said on change, then repeated."""

    rate_hz: float = Field(1.0, gt=0, le=10.0, description="Rate of repetition, Hz.")
    max_evidence_age_s: Positive = Field(5.0, description="A state older than this ends it, s.")


class CorrectionMessageOptions(MessageOptions):
    """GNSS corrections: passed on as they come, never repeated."""

    rate_hz: float = Field(10.0, gt=0, le=10.0, description="Highest rate, Hz.")
    max_evidence_age_s: NonNegative = Field(
        10.0, description="Older corrections are not passed on, s (a rover's usual limit)."
    )


def messages_of(
    options: Options, at: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], MessageOptions]]:
    """Every message in a section that stands at `at`, enabled or not, with its place."""
    for name in type(options).model_fields:
        value = getattr(options, name)
        if isinstance(value, MessageOptions):
            yield (*at, name), value
        elif isinstance(value, Options):
            yield from messages_of(value, (*at, name))
