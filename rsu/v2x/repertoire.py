"""Everything this unit can say: options in, one voice per enabled message out.

Here, and only here, a message meets its writer (what it says), its voice (when it is said) and its
options (how often, to whom). To add a message: a writer in `csae/` or `sae/`, options in
`rsu.config`, one line here, one page in docs/messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rsu.config.v2x import V2xOptions
from rsu.config.v2x_csae import CsaeOptions
from rsu.config.v2x_messages import MessageOptions, StandingMessageOptions, TrackMessageOptions
from rsu.config.v2x_sae import SaeOptions
from rsu.schema.decision_log import DecisionLog
from rsu.schema.events import EventOrigin, RoadEvent, RoadSign
from rsu.schema.topics import COORDINATION, PARKING, SIGNAL_PRIORITY
from rsu.schema.units import Instant
from rsu.v2x.codec import codec_for
from rsu.v2x.errors import V2xError
from rsu.v2x.network import dsmp, wsmp
from rsu.v2x.policy import Gate, UnitState
from rsu.v2x.speech import Counter, MessageSet, Speech
from rsu.v2x.unit import Unit
from rsu.v2x.voices.answers import AnswerVoice
from rsu.v2x.voices.base import Voice
from rsu.v2x.voices.corrections import CorrectionVoice
from rsu.v2x.voices.events import EventVoice
from rsu.v2x.voices.pushed import PushedVoice
from rsu.v2x.voices.road_users import RoadUserVoice
from rsu.v2x.voices.signals import SignalVoice
from rsu.v2x.voices.standing import StandingVoice
from rsu.v2x.writers import Content, StandingWriter, TrackWriter

DSMP_OCTETS = 6
"""DSMP header without extensions, with the adaptation octet (facts: csae.md 5.1)."""
WSMP_OCTETS = 19
"""Longest WSMP header (facts: sae.md 4.5, 18) and the PC5 family octet."""


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What all voices of one stage share."""

    stage: str
    unit: Unit
    state: UnitState
    log: DecisionLog
    boot: Instant


def voices_of(options: V2xOptions, signs: Sequence[RoadSign], around: Surroundings) -> list[Voice]:
    """One voice per enabled message, in the order in which they speak of the same fact.

    Raises V2xError when place, height, map or application id cannot be carried.
    """
    voices: list[Voice] = []
    room = options.packet_octets - options.security_octets
    if options.csae is not None:
        csae = MessageSet(codec_for(options.csae.profile), dsmp.build, room - DSMP_OCTETS)
        voices += _csae(options.csae, signs, _Speeches(csae, around))
    if options.sae is not None:
        build = partial(_wsmp, pc5=options.sae.pc5)
        sae = MessageSet(codec_for(options.sae.profile), build, room - WSMP_OCTETS, prefix="sae/")
        voices += _sae(options.sae, signs, _Speeches(sae, around))
    return voices


class _Speeches:
    """Makes speeches, and voices that take some preparation, for one message set."""

    def __init__(self, message_set: MessageSet, around: Surroundings) -> None:
        self.around = around
        self.unit = around.unit
        self._set = message_set
        self._counters: dict[str, Counter] = {}

    def speech(self, message: str, options: MessageOptions, *, timeless: bool = False) -> Speech:
        around = self.around
        gate = Gate(options, around.state, around.boot, timeless=timeless)
        # Receivers follow msgCnt by message, so the classes of RSI have one among them.
        name = f"message:{self._set.prefix}{message}"
        counter = self._counters.setdefault(message, Counter.of(name, around.boot))
        return Speech(around.stage, message, self._set, options, gate, around.log, counter)

    def road_users(
        self, message: str, options: TrackMessageOptions, make: Callable[[Unit], TrackWriter]
    ) -> Voice:
        speech, writer = self.speech(message, options), make(self.unit)
        if writer.alone:
            # What can be wrong with the unit's identity is found here and not with the first road
            # user; this also compiles the codec before time matters.
            speech.fits(writer.content(0, self.around.boot.utc_ns, ()))
        return RoadUserVoice(speech, writer, self.unit, options, self.around.boot)

    def standing(
        self,
        message: str,
        options: StandingMessageOptions,
        make: Callable[[Callable[[Content], bool]], StandingWriter],
    ) -> Voice:
        speech = self.speech(message, options, timeless=True)
        return StandingVoice(speech, make(speech.fits), options)

    def pushed(self, messages: dict[str, MessageOptions]) -> Iterator[Voice]:
        """The voice of a centre's messages, for those that may go on the air."""
        profile = self._set.codec.profile
        speeches = {(profile, name): self.speech(name, one) for name, one in messages.items()}
        if speeches:
            yield PushedVoice(speeches)


def _csae(options: CsaeOptions, signs: Sequence[RoadSign], make: _Speeches) -> Iterator[Voice]:
    from rsu.v2x.csae.rsm import RsmWriter
    from rsu.v2x.csae.spat import SpatWriter

    unit = make.unit
    if options.rsm.enabled:
        yield make.road_users("RSM", options.rsm, RsmWriter)
    if options.ssm.enabled:
        from rsu.v2x.csae.ssm import SsmWriter

        yield make.road_users("SSM", options.ssm, SsmWriter)
    if options.spat.enabled:
        yield SignalVoice(make.speech("SPAT", options.spat), SpatWriter(unit), options.spat)
    yield from _rsi(options, signs, make)
    if options.map.enabled:
        from rsu.v2x.map.csae import MapWriter

        yield make.standing("MAP", options.map, partial(MapWriter, unit))
    if options.pam.enabled:
        from rsu.v2x.csae.pam import PamWriter

        lot = lot_of(unit, options.pam.lot)
        speech = make.speech("PAM", options.pam)
        pam = PamWriter(unit, lot, speech.fits)
        yield AnswerVoice(
            speech, options.pam, PARKING, pam.content,
            key=lambda state: state.lot if state.lot == lot else None,
            said=lambda state: ({bay.bay: bay.status for bay in state.bays}, state.guidance),
            empty=lambda state: not state.bays,
        )  # fmt: skip
    if options.rsc.enabled:
        from rsu.v2x.csae.rsc import RscWriter

        yield AnswerVoice(
            make.speech("RSC", options.rsc), options.rsc, COORDINATION, RscWriter(unit).content,
            key=lambda _: "advice", said=lambda state: state.advice,
            empty=lambda state: not state.advice,
        )  # fmt: skip
    if options.rtcm.enabled:
        from rsu.v2x.csae.rtcm import RtcmWriter

        yield CorrectionVoice(make.speech("RTCM", options.rtcm), RtcmWriter())
    if options.test.enabled:
        from rsu.v2x.csae.test_message import TestWriter

        test = TestWriter(bytes.fromhex(options.test.user_data))
        yield make.standing("TEST", options.test, partial(_test, test))
    allowed = {"MAP": options.map, "SPAT": options.spat, "RSI": options.rsi.semi_static}
    yield from make.pushed(allowed)


def _rsi(options: CsaeOptions, signs: Sequence[RoadSign], make: _Speeches) -> Iterator[Voice]:
    from rsu.v2x.csae.rsi import RsiWriter

    classes: tuple[tuple[Any, Callable[[RoadEvent], bool], Sequence[RoadSign]], ...] = (
        (options.rsi.dynamic, lambda event: event.origin is EventOrigin.DETECTION, ()),
        (options.rsi.semi_static, lambda event: event.origin is not EventOrigin.DETECTION, ()),
        (options.rsi.static, lambda _: False, signs),
    )
    writer = RsiWriter(make.unit)  # one for all: it keeps the numbers of events distinct
    for one, accept, some in classes:
        if one.enabled:
            speech = make.speech("RSI", one, timeless=True)
            yield EventVoice(speech, writer, one, accept=accept, signs=some)


def _sae(options: SaeOptions, signs: Sequence[RoadSign], make: _Speeches) -> Iterator[Voice]:
    from rsu.v2x.sae.rsm import RsmWriter
    from rsu.v2x.sae.rtcm import RtcmWriter
    from rsu.v2x.sae.sdsm import SdsmWriter
    from rsu.v2x.sae.spat import SpatWriter
    from rsu.v2x.sae.ssm import SignalStatusWriter, answerable
    from rsu.v2x.sae.tim import TimWriter

    unit = make.unit
    if options.sdsm.enabled:
        yield make.road_users("SDSM", options.sdsm, SdsmWriter)
    if options.psm.enabled:
        from rsu.v2x.sae.psm import PsmWriter

        yield make.road_users("PSM", options.psm, PsmWriter)
    if options.spat.enabled:
        yield SignalVoice(make.speech("SPAT", options.spat), SpatWriter(unit), options.spat)
    if options.tim.enabled:
        yield EventVoice(
            make.speech("TIM", options.tim, timeless=True), TimWriter(unit), options.tim,
            accept=lambda _: True, signs=signs,
        )  # fmt: skip
    if options.rsm.enabled:
        yield EventVoice(
            make.speech("RSM", options.rsm, timeless=True),
            RsmWriter(unit, options.rsm.operator), options.rsm, accept=lambda _: True,
        )  # fmt: skip
    if options.map.enabled:
        from rsu.v2x.map.sae import MapWriter

        yield make.standing("MAP", options.map, partial(MapWriter, unit))
    if options.ssm.enabled:
        yield AnswerVoice(
            make.speech("SSM", options.ssm), options.ssm, SIGNAL_PRIORITY,
            SignalStatusWriter(unit).content,
            key=lambda state: state.intersection, said=answerable,
            empty=lambda state: not answerable(state),
        )  # fmt: skip
    if options.rtcm.enabled:
        yield CorrectionVoice(make.speech("RTCM", options.rtcm), RtcmWriter())
    yield from make.pushed({"MAP": options.map, "SPAT": options.spat, "TIM": options.tim})


def lot_of(unit: Unit, name: str) -> str:
    """The lot that a PAM speaks of: the one named, or the map's only one. Raises V2xError."""
    lots = sorted({bay.lot for bay in unit.site.bays if bay.lot})
    if name and name not in lots:
        raise V2xError(f"the map has no bays of lot {name!r}; it has {', '.join(lots) or 'none'}")
    if not name and len(lots) != 1:
        found = f"lots {', '.join(lots)}" if lots else "no bays with a lot"
        raise V2xError(f"the map has {found}: set v2x.csae.pam.lot")
    return name or lots[0]


def _test(writer: StandingWriter, fits: Callable[[Content], bool]) -> StandingWriter:
    if not fits(writer.content(0, None)):
        raise V2xError("v2x.csae.test.user_data is too long for a packet")
    return writer


def _wsmp(psid: int, payload: bytes, *, pc5: bool) -> bytes:
    return wsmp.build(psid, payload, pc5=pc5)
