"""Signal priority: vehicles' requests are checked, ruled on, answered, and told to the controller.

In: `signal/request`, what the controller shows, tracks, and what vehicles say of themselves. Out:
`signal/priority` (all open requests and what became of them), `situation/coordination` (the answer
in the Chinese set), `signal/command` and `decision`. A request is a claim by a stranger: it counts
only once our own sensors see its vehicle where it says it is. It is said to be granted only while
the controller shows that it is. Rules and numbers: docs/priority.md.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from rsu.config.priority import PriorityOptions
from rsu.schema.coordination import Advice, AdviceReason, Coordination
from rsu.schema.decision_log import DecisionLog
from rsu.schema.health import Verdict
from rsu.schema.message import Message
from rsu.schema.priority import (
    PriorityLevel,
    RequestState,
    SignalAction,
    SignalAnswer,
    SignalCommand,
    SignalPriority,
    SignalRequest,
)
from rsu.schema.sensing import ObjectClass
from rsu.schema.signals import ControllerFlag, LightState, SignalState
from rsu.schema.topics import (
    COORDINATION,
    DECISION,
    SIGNAL_COMMAND,
    SIGNAL_PRIORITY,
    SIGNAL_REQUEST,
    SIGNAL_STATE,
    TRACKS,
    V2X_OBJECTS,
)
from rsu.schema.tracks import TrackList
from rsu.schema.units import NS_PER_MS, NS_PER_S, Instant
from rsu.site.lanes import SiteMap
from rsu.situation.priority_evidence import Reports, Sight, sight_of
from rsu.situation.priority_ways import Way, way_of

TICK_NS = 100 * NS_PER_MS
STATE_NS = 2 * NS_PER_S
"""A controller whose last word is older is silent: nobody can tell what it does."""
TRACKS_NS = NS_PER_S
"""Older tracks are no evidence of where anybody is."""
TELL_NS = 500 * NS_PER_MS
"""Answers are told anew this often while requests are open, so that their time stays true."""
COMMAND_NS = NS_PER_S
COMMAND_HOLDS_NS = 3 * NS_PER_S
"""A command is repeated every second and holds for three: two may be lost, and a unit that stops
gives the signals back."""
ARRIVAL_NS = 600 * NS_PER_S
"""An arrival stated later than this is no arrival (J2735 requests are made minutes ahead)."""
OPEN_MAX = 32
"""Requests open at once: one SSM has room for 32 answers."""
ENDED_MAX = 256
"""Requests that are over and remembered, so that a repeated datagram opens none again."""
ADVICE_NS = 2 * NS_PER_S
"""How long an answer in RSC holds."""
VIR_ID_OCTETS = 8
ROLES = {
    "emergency": PriorityLevel.EMERGENCY, "ambulance": PriorityLevel.EMERGENCY,
    "fire": PriorityLevel.EMERGENCY, "police": PriorityLevel.EMERGENCY,
    "publicTransport": PriorityLevel.TRANSIT, "transit": PriorityLevel.TRANSIT,
}  # fmt: skip
"""BasicVehicleRole → what it is entitled to; all others to nothing."""
ROLE_UNKNOWN = "none-unknown"
BUSES = frozenset({ObjectClass.BUS, ObjectClass.TRUCK, ObjectClass.VAN, ObjectClass.UNKNOWN})
"""What our sensors may take a bus for."""
RANK = {PriorityLevel.EMERGENCY: 0, PriorityLevel.TRANSIT: 1}
GREENS = frozenset({LightState.PROTECTED_GREEN, LightState.PERMISSIVE_GREEN})
NOT_AUTOMATIC = frozenset(
    {ControllerFlag.MANUAL, ControllerFlag.STOP_TIME, ControllerFlag.FAILURE_FLASH,
     ControllerFlag.FAILURE, ControllerFlag.OFF}
)  # fmt: skip
ACTS = frozenset({ControllerFlag.PRIORITY, ControllerFlag.PREEMPT})

Key = tuple[bytes, int]
"""(vehicle, its number of the request)."""


@dataclass(slots=True, eq=False)
class _Claim:
    """An open request. Times are monotonic ns; `ruling` is what was decided last, and why."""

    request: SignalRequest
    way: Way | str
    heard_ns: int
    sight: Sight | None = None
    found_ns: int = 0  # its track was told
    seen_ns: int = 0  # our own sensors saw it
    level: PriorityLevel | None = None
    favoured_ns: int | None = None
    served: bool = False
    exhausted: bool = False
    ruling: tuple[RequestState, str] = (RequestState.REQUESTED, "")

    @property
    def key(self) -> Key:
        return self.request.vehicle, self.request.request


@dataclass(frozen=True, slots=True)
class _Given:
    """The command that holds: since when (monotonic and by the wall clock) and when last given."""

    command: SignalCommand
    since_utc_ns: int
    given_ns: int


class PriorityStage:
    """Rules on requests for priority at one intersection. Deterministic, without I/O.

    `controllers` are those that take commands; requests at others are refused.
    """

    name = "signal-priority"
    inputs = (SIGNAL_REQUEST, SIGNAL_STATE, TRACKS, V2X_OBJECTS)
    outputs = (SIGNAL_PRIORITY, COORDINATION, SIGNAL_COMMAND, DECISION)
    period_ns: int | None = TICK_NS

    def __init__(
        self,
        options: PriorityOptions,
        site_map: SiteMap,
        intersection: int,
        controllers: Collection[str],
    ) -> None:
        self._options, self._site, self._intersection = options, site_map, intersection
        self._controllers = frozenset(controllers)
        self._log = DecisionLog(self.name)
        self._reports = Reports()
        self._claims: dict[Key, _Claim] = {}
        self._ended: OrderedDict[Key, tuple[int, int]] = OrderedDict()  # time, sequence
        self._tracks: tuple[TrackList, int] | None = None
        self._state: tuple[SignalState, int] | None = None
        self._given: _Given | None = None
        self._served_bus: tuple[bytes, int] | None = None  # who, since when (monotonic)
        self._told: tuple[SignalAnswer, ...] = ()
        self._told_ns = 0

    def handle(self, message: Message, now: Instant) -> Iterable[Message]:
        """Take evidence, or a request, which is ruled on at once."""
        payload = message.payload
        if message.topic == TRACKS:
            self._tracks = (payload, now.mono_ns)
        elif message.topic == V2X_OBJECTS:
            self._reports.take(payload)
        elif message.topic == SIGNAL_STATE:
            if payload.intersection == self._intersection:
                self._state = (payload, now.mono_ns)
        elif message.topic == SIGNAL_REQUEST:
            self._take(payload, now)
            return self._rule(now)
        return []

    def tick(self, now: Instant) -> Iterable[Message]:
        """See how everybody has got on."""
        if self._claims or self._given is not None or self._told:
            return self._rule(now)
        return self._log.drafts(now)

    # --- what is asked ----------------------------------------------------------------------------

    def _take(self, request: SignalRequest, now: Instant) -> None:
        key = request.vehicle, request.request
        claim = self._claims.get(key)
        refusal = self._refusal(request, claim)
        if refusal is not None:
            self._note(now, request, Verdict.DROPPED, refusal)
        elif request.cancel:
            assert claim is not None
            claim.request = request
            self._end(claim, "cancelled", now)
        elif claim is None:
            self._claims[key] = _Claim(request, way_of(self._site, request), now.mono_ns)
        else:
            old = claim.request
            if (request.inbound, request.outbound) != (old.inbound, old.outbound):
                claim.way, claim.sight, claim.served = way_of(self._site, request), None, False
            claim.request, claim.heard_ns = request, now.mono_ns

    def _refusal(self, request: SignalRequest, claim: _Claim | None) -> str | None:
        """Why a request is not even looked at."""
        key = request.vehicle, request.request
        if request.intersection != self._intersection:
            return "not_for_us"
        last = self._ended.get(key)
        if claim is not None:
            last = claim.request.time_ns, claim.request.sequence
        takes_back = request.cancel and claim is not None
        if last is not None and request.time_ns < last[0] + (not takes_back):
            same = (request.time_ns, request.sequence) == last
            return "duplicate" if same else "out_of_order"
        if claim is not None:
            return None
        if request.cancel:
            return "nothing_to_cancel"
        mine = sum(vehicle == request.vehicle for vehicle, _ in self._claims)
        if mine >= self._options.requests_max or len(self._claims) >= OPEN_MAX:
            return "too_many_requests"
        return None

    def _end(self, claim: _Claim, reason: str, now: Instant) -> None:
        del self._claims[claim.key]
        self._ended[claim.key] = claim.request.time_ns, claim.request.sequence
        while len(self._ended) > ENDED_MAX:
            self._ended.popitem(last=False)
        self._release(claim, now)
        self._note(now, claim.request, Verdict.DROPPED, reason)

    def _release(self, claim: _Claim, now: Instant) -> None:
        """It is favoured no longer."""
        if claim.favoured_ns is not None and claim.level is PriorityLevel.TRANSIT:
            self._served_bus = claim.request.vehicle, now.mono_ns
        claim.favoured_ns = None

    # --- what is ruled ----------------------------------------------------------------------------

    def _rule(self, now: Instant) -> list[Message]:
        hold_ns = round(self._options.hold_s * NS_PER_S)
        for claim in list(self._claims.values()):
            if now.mono_ns - claim.heard_ns > hold_ns:
                self._end(claim, "request_expired", now)
        self._look(now)
        eligible: list[_Claim] = []
        for claim in self._claims.values():
            ruling = self._bar(claim, now)
            if ruling is None:
                eligible.append(claim)
            else:
                self._release(claim, now)
                self._decide(claim, *ruling, now)
        first = min(eligible, key=_urgency, default=None)
        out = self._command(first, now)
        for claim in eligible:
            assert first is not None
            assert isinstance(claim.way, Way)
            assert isinstance(first.way, Way)
            if claim.way.group != first.way.group:
                claim.favoured_ns = None  # it has lost its turn: that locks nobody out
                self._decide(claim, RequestState.PROCESSING, "others_first", now)
                continue
            if claim.favoured_ns is None:
                claim.favoured_ns = now.mono_ns
            acts = self._acts(claim.way.group)
            state = RequestState.GRANTED if acts else RequestState.PROCESSING
            self._decide(claim, state, "granted" if acts else "commanded", now)
        return [*out, *self._answers(now), *self._log.drafts(now)]

    def _look(self, now: Instant) -> None:
        """Find every requester among the tracks."""
        if self._tracks is None or now.mono_ns - self._tracks[1] > TRACKS_NS:
            return
        tracks = self._tracks[0]
        for claim in self._claims.values():
            if not isinstance(claim.way, Way):
                continue
            report = self._reports.of(claim.request.vehicle, tracks.time_ns)
            sight = sight_of(
                claim.request, claim.way, tracks, report, self._site, self._options,
                None if claim.sight is None else claim.sight.track,
            )  # fmt: skip
            if sight is not None:
                claim.sight, claim.found_ns = sight, now.mono_ns
                claim.seen_ns = now.mono_ns if sight.own else claim.seen_ns
                claim.served = claim.served or sight.passed

    def _bar(self, claim: _Claim, now: Instant) -> tuple[RequestState, str] | None:
        """What keeps a request from being favoured now; None: nothing."""
        impossible = self._impossible(claim, now)
        if impossible is not None:
            return RequestState.REJECTED, impossible
        if claim.served:
            return RequestState.UNKNOWN, "passed"
        sight = claim.sight
        if sight is None or self._is_lost(claim, now):
            return RequestState.REQUESTED, "requester_unseen"
        claim.level = self._level(claim, sight)
        unfit = self._unfit(claim.level, sight)
        if unfit is not None:
            return RequestState.REJECTED, unfit
        return self._not_now(claim, sight, now)

    def _not_now(
        self, claim: _Claim, sight: Sight, now: Instant
    ) -> tuple[RequestState, str] | None:
        """Why a request that is justified is not favoured yet, or no longer."""
        if sight.eta_s > self._options.horizon_s:
            return RequestState.REQUESTED, "too_early"
        if self._is_exhausted(claim, now):
            return RequestState.MAX_PRESENCE, "max_presence"
        if self._is_locked(claim, now):
            return RequestState.RESERVICE_LOCKED, "reservice_locked"
        return None

    def _impossible(self, claim: _Claim, now: Instant) -> str | None:
        """Why a request cannot be granted whoever makes it."""
        if not isinstance(claim.way, Way):
            return claim.way
        request = claim.request
        if request.arrival_ns is not None and not (
            0 <= request.arrival_ns - request.time_ns <= ARRIVAL_NS
        ):
            return "arrival_implausible"
        if request.role not in ROLES and request.role != ROLE_UNKNOWN:
            return "not_entitled"
        return self._unable(claim.way.group, now)

    def _unable(self, group: int, now: Instant) -> str | None:
        """Why the controller cannot favour a group."""
        if self._state is None or now.mono_ns - self._state[1] > STATE_NS:
            return "controller_silent"
        state = self._state[0]
        if state.controller not in self._controllers:
            return "controller_cannot"
        if NOT_AUTOMATIC.intersection(state.flags):
            return "controller_not_automatic"
        return None if any(one.group == group for one in state.groups) else "group_unknown"

    def _is_lost(self, claim: _Claim, now: Instant) -> bool:
        """Its track is gone, or has rested on radio alone for too long."""
        lost_ns = round(self._options.unseen_s * NS_PER_S)
        hidden_ns = round(self._options.hidden_s * NS_PER_S)
        return now.mono_ns - claim.found_ns > lost_ns or now.mono_ns - claim.seen_ns > hidden_ns

    def _unfit(self, level: PriorityLevel | None, sight: Sight) -> str | None:
        """Why this vehicle is not entitled to what it asks for."""
        if level is None or level.value not in self._options.grant:
            return "not_entitled"
        if level is PriorityLevel.TRANSIT and sight.object_class not in BUSES:
            return "class_contradicts"
        return None

    def _is_exhausted(self, claim: _Claim, now: Instant) -> bool:
        """It has been favoured for as long as one request may be."""
        if claim.favoured_ns is not None and claim.level is not None:
            longest_ns = round(self._options.longest_s.of(claim.level) * NS_PER_S)
            claim.exhausted = claim.exhausted or now.mono_ns - claim.favoured_ns > longest_ns
        return claim.exhausted

    def _level(self, claim: _Claim, sight: Sight) -> PriorityLevel | None:
        """What a vehicle is entitled to: by its own word, by another request of the same vehicle
        (T/CSAE has no field for a role), or as a bus by its looks."""
        if claim.request.role in ROLES:
            return ROLES[claim.request.role]
        said = [
            ROLES[other.request.role]
            for other in self._claims.values()
            if other.sight is not None
            and other.sight.track == sight.track
            and other.request.role in ROLES
        ]
        if said:
            return min(said, key=RANK.__getitem__)
        if sight.object_class is ObjectClass.BUS:
            return PriorityLevel.TRANSIT
        return claim.level  # what it was found to be before

    def _is_locked(self, claim: _Claim, now: Instant) -> bool:
        """Another bus was favoured lately, and this one is not."""
        if claim.level is not PriorityLevel.TRANSIT or claim.favoured_ns is not None:
            return False
        if self._served_bus is None or self._served_bus[0] == claim.request.vehicle:
            return False
        lock_ns = round(self._options.reservice_s * NS_PER_S)
        return now.mono_ns - self._served_bus[1] < lock_ns

    def _decide(self, claim: _Claim, state: RequestState, reason: str, now: Instant) -> None:
        if claim.ruling == (state, reason):
            return
        claim.ruling = (state, reason)
        verdict = Verdict.DROPPED if state is RequestState.REJECTED else Verdict.WITHHELD
        if state is RequestState.GRANTED:
            verdict = Verdict.SENT
        self._note(now, claim.request, verdict, reason)

    # --- what is commanded and told ---------------------------------------------------------------

    def _command(self, first: _Claim | None, now: Instant) -> list[Message]:
        """Tell the controller what is wanted, what is wanted still, or that nothing is any more."""
        given = self._given
        if first is None:
            if given is None:
                return []
            self._given = None
            old = given.command
            command = SignalCommand(
                controller=old.controller, intersection=old.intersection, group=old.group,
                action=SignalAction.CANCEL, level=old.level, time_ns=now.utc_ns,
                until_ns=now.utc_ns, reason="over",
            )  # fmt: skip
            return [Message.draft(SIGNAL_COMMAND, self.name, now.utc_ns, command)]
        assert self._state is not None
        assert isinstance(first.way, Way)
        assert first.level is not None
        state, group = self._state[0], first.way.group
        action = SignalAction.EXTEND if _is_green(state, group) else SignalAction.CALL
        command = SignalCommand(
            controller=state.controller, intersection=state.intersection, group=group,
            action=action, level=first.level, time_ns=now.utc_ns,
            until_ns=now.utc_ns + COMMAND_HOLDS_NS, reason=_subject(first.request),
        )  # fmt: skip
        since_ns = now.utc_ns
        if given is not None and given.command.group == group:
            since_ns = given.since_utc_ns
            same = (given.command.action, given.command.level) == (action, first.level)
            if same and now.mono_ns - given.given_ns < COMMAND_NS:
                return []
        self._given = _Given(command, since_ns, now.mono_ns)
        oldest_ns = min(first.request.time_ns, state.capture_ns)
        return [Message.draft(SIGNAL_COMMAND, self.name, oldest_ns, command)]

    def _acts(self, group: int) -> bool:
        """Whether the controller has shown since the command that it follows, or the green is
        there: only then is a request said to be granted."""
        given, state = self._given, self._state
        if given is None or state is None or state[0].capture_ns <= given.since_utc_ns:
            return False
        return bool(ACTS.intersection(state[0].flags)) or _is_green(state[0], group)

    def _answers(self, now: Instant) -> list[Message]:
        """All open requests, when something has changed and regularly."""
        open_ = [claim for claim in self._claims.values() if not claim.served]
        answers = tuple(SignalAnswer(request=one.request, state=one.ruling[0]) for one in open_)
        states = [(one.request.vehicle, one.request.request, one.state) for one in answers]
        told = [(one.request.vehicle, one.request.request, one.state) for one in self._told]
        if states == told and (not answers or now.mono_ns - self._told_ns < TELL_NS):
            return []
        self._told, self._told_ns = answers, now.mono_ns
        oldest_ns = min((one.request.time_ns for one in answers), default=now.utc_ns)
        priority = SignalPriority(
            intersection=self._intersection, time_ns=now.utc_ns, answers=answers
        )
        advice = tuple(
            Advice(
                start_ns=now.utc_ns, end_ns=now.utc_ns + ADVICE_NS, vehicle=one.request.vehicle,
                reasons=(AdviceReason.SIGNAL_PRIORITY,),
            )
            for one in answers
            if one.state is RequestState.GRANTED and len(one.request.vehicle) == VIR_ID_OCTETS
        )  # fmt: skip
        return [
            Message.draft(SIGNAL_PRIORITY, self.name, oldest_ns, priority),
            Message.draft(
                COORDINATION, self.name, oldest_ns, Coordination(time_ns=now.utc_ns, advice=advice)
            ),
        ]

    def _note(self, now: Instant, request: SignalRequest, verdict: Verdict, reason: str) -> None:
        self._log.note(now, _subject(request), verdict, reason, request.role)


def _urgency(claim: _Claim) -> tuple[int, bool, float, Key]:
    """Emergency vehicles first; then whoever is favoured already, then who will be there first."""
    assert claim.level is not None
    assert claim.sight is not None
    return RANK[claim.level], claim.favoured_ns is None, claim.sight.eta_s, claim.key


def _subject(request: SignalRequest) -> str:
    return f"request:{request.vehicle.hex()}/{request.request}"


def _is_green(state: SignalState, group: int) -> bool:
    return any(one.group == group and one.light in GREENS for one in state.groups)
