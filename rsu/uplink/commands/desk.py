"""The desk: takes command messages one after another, has each carried out and answers it.

In: raw messages by `hear`, from any thread. Out: calls of `execute` on the desk's own thread;
answers as reports (`<prefix>/command/ack`, durable, at least once) and, where an authentic command
asked for one within our own topics, on its response topic. Every verdict is counted and audited;
answers to what is refused are limited in rate, so that nobody can make us talk.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import structlog

from rsu.schema.reports import Priority, UplinkReport
from rsu.uplink.birth import Identity
from rsu.uplink.commands.envelope import MAX_BYTES, Refused
from rsu.uplink.commands.gate import Command, Gate, told_id
from rsu.uplink.documents import utc_text
from rsu.uplink.pacing import Pacer
from rsu.uplink.session import Incoming

WAITING = 64
"""Messages that wait for the desk: a package of 2 MB comes in as many parts."""
ANSWER_TTL_S = 86_400.0
REFUSALS_PER_S = 1.0
MAX_ANSWER_BYTES = 100_000  # below what the outbox takes (131 072 octets)

_log = structlog.get_logger()


class Outcome(StrEnum):
    """What became of a command."""

    DONE = "done"
    ACCEPTED = "accepted"  # under way; another answer follows
    CONFIRM = "confirm"  # wants to be said again, with the token of the result
    FAILED = "failed"
    REFUSED = "refused"
    ROLLED_BACK = "rolled_back"


@dataclass(frozen=True, slots=True)
class Answer:
    """`reason` is a stable code where the outcome is not done; `result` is plain JSON."""

    outcome: Outcome
    reason: str = ""
    detail: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)


class Audit(Protocol):
    """Where verdicts are written; raises when it cannot, and then nothing is done."""

    def __call__(self, action: str, actor: str, detail: Mapping[str, Any]) -> object: ...


class CommandDesk:
    """Start once, hear from any thread, stop once."""

    def __init__(
        self,
        gate: Gate,
        execute: Callable[[Command], Answer],
        *,
        identity: Identity,
        prefix: str,
        offer: Callable[[UplinkReport], None],
        respond: Callable[[str, bytes, bytes | None], None],
        audit: Audit,
        clock: Callable[[], int],
    ) -> None:
        """`execute` may take its time and may raise; `respond` publishes to a response topic."""
        self._gate = gate
        self._execute = execute
        self._identity = identity
        self._prefix = prefix
        self._offer = offer
        self._respond = respond
        self._audit = audit
        self._clock = clock
        self._limit = Pacer(REFUSALS_PER_S, burst=10.0)
        self._suppressed = 0
        self._changed = threading.Condition()
        self._waiting: deque[Incoming] = deque()
        self._stopping = False
        self._numbers = 0
        self._counts: dict[str, int] = {}
        self._thread = threading.Thread(target=self._run, name="uplink-commands", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """End the thread; False where a command is still being carried out."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        if self._thread.is_alive():
            return False
        self._gate.close()
        return True

    def hear(self, incoming: Incoming) -> None:
        """Take a message; never waits, never raises."""
        with self._changed:
            if len(self._waiting) >= WAITING:
                self._count("refused", "flooded")
                return
            if len(incoming.payload) > MAX_BYTES:  # its size says all; it need not wait here
                incoming = Incoming(incoming.payload[: MAX_BYTES + 1])
            self._waiting.append(incoming)
            self._changed.notify_all()

    def counts(self) -> dict[str, int]:
        """Verdicts so far: `done`, `failed:REASON`, `refused:REASON`, …"""
        with self._changed:
            return dict(self._counts)

    def tell(self, command_id: str, name: str, answer: Answer) -> None:
        """A later word on a command that was accepted; from any thread."""
        self._note(answer)
        self._send(self._document(command_id, name, answer), None)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._stopping:
                    self._changed.wait()
                if self._stopping:
                    return
                incoming = self._waiting.popleft()
            try:
                self._deal_with(incoming)
            except Exception as error:
                # Whatever it was that nobody thought of: this message is done with, the next comes.
                _log.exception("command", problem=f"{type(error).__name__}: {error}")
                with self._changed:
                    self._count("failed", "internal")

    def _deal_with(self, incoming: Incoming) -> None:
        try:
            command = self._gate.admit(incoming.payload)
        except Refused as refusal:
            self._refuse(incoming, refusal)
            return
        actor = f"platform:{command.key} command:{command.id}"
        try:
            self._audit("command", actor, {"command": command.name, "seq": command.seq})
        except Exception as error:
            answer = Answer(Outcome.REFUSED, "no_audit", str(error)[:300])
        else:
            answer = self._carried_out(command)
            self._try_audit("command_outcome", actor, answer, command.name)
        self._note(answer)
        self._send(self._document(command.id, command.name, answer), incoming)

    def _carried_out(self, command: Command) -> Answer:
        try:
            return self._execute(command)
        except Refused as refusal:
            return Answer(Outcome.REFUSED, refusal.reason, refusal.detail)
        except Exception as error:
            _log.exception("command", command=command.name)
            return Answer(Outcome.FAILED, "internal", f"{type(error).__name__}: {error}"[:300])

    def _refuse(self, incoming: Incoming, refusal: Refused) -> None:
        answer = Answer(Outcome.REFUSED, refusal.reason, refusal.detail)
        self._note(answer)
        if self._limit.allowance() < 1:
            self._suppressed += 1
            return
        self._limit.spend(1)
        self._try_audit("command_refused", "platform:unknown", answer, None)
        self._suppressed = 0
        self._send(self._document(told_id(incoming.payload), None, answer), None)

    def _try_audit(self, action: str, actor: str, answer: Answer, name: str | None) -> None:
        detail: dict[str, Any] = {"outcome": answer.outcome.value, "reason": answer.reason}
        if name is not None:
            detail["command"] = name
        for key in ("sha256", "change"):  # what left, what was changed
            if key in answer.result:
                detail[key] = answer.result[key]
        if self._suppressed:
            detail["unsaid_refusals"] = self._suppressed
        try:
            self._audit(action, actor, detail)
        except Exception as error:  # what is done is done; it is in the log at least
            _log.error("audit", problem=str(error), action=action, **detail)

    def _document(self, command_id: str | None, name: str | None, answer: Answer) -> bytes:
        with self._changed:
            number, self._numbers = self._numbers, self._numbers + 1
        document = {
            "schema": "rsu.command-ack/1",
            "id": f"{self._identity.session}-c{number}",
            "site": self._identity.site_id,
            "session": self._identity.session,
            "time_utc": utc_text(self._clock()),
            "command_id": command_id,
            "command": name,
            "outcome": answer.outcome.value,
            "reason": answer.reason,
            "detail": answer.detail,
            "result": dict(answer.result),
        }
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        if len(body) > MAX_ANSWER_BYTES:
            document["result"] = {"too_large": len(body)}
            body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
        return body

    def _send(self, body: bytes, asked: Incoming | None) -> None:
        name: str = json.loads(body)["id"]
        self._offer(
            UplinkReport(
                id=name, subject="command/ack", priority=Priority.EVENT, ttl_s=ANSWER_TTL_S,
                body=body,
            )
        )  # fmt: skip
        topic = None if asked is None else asked.response_topic
        # The response topic is not signed: outside our own topics nobody is answered.
        if asked is not None and topic and _within(topic, self._prefix):
            self._respond(topic, body, asked.correlation)

    def _note(self, answer: Answer) -> None:
        with self._changed:
            self._count(answer.outcome.value, answer.reason)

    def _count(self, outcome: str, reason: str) -> None:
        name = f"{outcome}:{reason}" if reason else outcome
        self._counts[name] = self._counts.get(name, 0) + 1


def _within(topic: str, prefix: str) -> bool:
    return (
        topic.startswith(f"{prefix}/")
        and len(topic) <= 256
        and not any(c in topic for c in "+#\0")
        and topic.isprintable()
        and topic != f"{prefix}/command"
    )
