"""Carries out a platform's commands, in the uplink's process.

In: a `Command` that the gate let through, on the desk's thread. Out: its `Answer`. What concerns
the unit as a whole is asked of the supervisor over the bus (`rsu.runtime.orders`), what goes on the
air is given to the core. Messages for the bus leave by `publish`, which any thread may call.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rsu.config.base import utc_ns
from rsu.config.model import SiteConfig
from rsu.runtime import config_change
from rsu.runtime.exchange import Exchange
from rsu.schema.message import Message
from rsu.schema.orders import OrderKind, UnitAnswer, UnitOrder
from rsu.schema.reports import UplinkReport
from rsu.schema.topics import UNIT_ORDER, V2X_PUSHED
from rsu.schema.units import NS_PER_S, Instant
from rsu.schema.v2x import PushedV2x
from rsu.uplink.commands import catalogue
from rsu.uplink.commands.desk import Answer, Outcome
from rsu.uplink.commands.envelope import Refused
from rsu.uplink.commands.gate import Command

ANSWER_S = 10.0
"""How long the supervisor may take to answer; it looks every 50 ms, on a busy machine later. What
it says after that is a later word on the command."""
TOKEN_NS = 60 * NS_PER_S
"""A restart must be confirmed within this."""


class CommandExecution:
    """One per uplink process. `execute` runs on one thread, `hear` on another."""

    def __init__(
        self,
        config: SiteConfig,
        base: Path,
        site_file: Path | None,
        publish: Callable[[Message], None],
        clock: Callable[[], Instant],
        offer: Callable[[UplinkReport], None],
    ) -> None:
        """`offer` queues a report for the platform."""
        self.config = config  # of the unit as it runs now
        self._base = base
        self._site_file = site_file
        self._publish = publish
        self._clock = clock
        self._answered = threading.Condition()
        self._answers: dict[str, UnitAnswer] = {}
        self._asked: set[str] = set()
        self._token: tuple[str, str, int] | None = None  # key, token, mono ns of its end
        self._exchange = Exchange(config, base, offer)
        self._ways: dict[type, Callable[[Command, Any], Answer]] = {
            catalogue.Broadcast: self._broadcast,
            catalogue.ConfigGet: self._config_get,
            catalogue.ConfigDiff: self._config_diff,
            catalogue.ConfigApply: self._config_apply,
            catalogue.ConfigConfirm: self._config_confirm,
            catalogue.LogLevel: self._log_level,
            catalogue.LogExport: self._exchange.log_export,
            catalogue.PackagePart: self._exchange.package_part,
            catalogue.PackageInstall: self._exchange.package_install,
            catalogue.Restart: self._restart,
        }

    def execute(self, command: Command) -> Answer:
        """Carry it out; raises Refused for what may not be, anything else is a failure."""
        way = self._ways.get(type(command.arguments))
        if way is None:
            return Answer(Outcome.FAILED, "not_supported", command.name)
        return way(command, command.arguments)

    def hear(self, answer: UnitAnswer) -> tuple[str, str, Answer] | None:
        """An answer of the supervisor: one that `execute` waits for is taken, a later word on a
        command is returned as (command id, command, answer)."""
        with self._answered:
            if answer.order in self._asked:
                self._asked.discard(answer.order)
                self._answers[answer.order] = answer
                self._answered.notify_all()
                return None
        return answer.order, _command_of(answer), _answer(answer)

    # What goes on the air

    def _broadcast(self, command: Command, said: catalogue.Broadcast) -> Answer:
        from rsu.v2x.codec import codec_for
        from rsu.v2x.errors import CodecError

        now = self._clock()
        if self.config.v2x is None:
            raise Refused("no_v2x", "this unit says nothing on the air")
        if said.payload_hex is not None and said.value is not None:
            raise Refused("bad_arguments", "payload_hex or value, not both")
        payload = b""
        try:
            codec = codec_for(said.profile)
            if said.payload_hex is not None:
                payload = bytes.fromhex(said.payload_hex)
            elif said.value is not None:
                payload = codec.encode(said.value)
            if payload and (found := codec.message_name(codec.decode(payload))) != said.message:
                raise Refused("bad_arguments", f"it is a {found}, not a {said.message}")
        except CodecError as error:
            raise Refused("undecodable", str(error)[:300]) from None
        until_ns = utc_ns(said.until_utc)
        if payload and until_ns <= now.utc_ns:
            raise Refused("bad_arguments", "until_utc is over")
        pushed = PushedV2x(
            key=f"{command.key}:{said.key}", profile=said.profile, message=said.message,
            payload=payload, received_ns=now.utc_ns, until_ns=until_ns, period_s=said.period_s,
        )  # fmt: skip
        self._publish(Message.draft(V2X_PUSHED, "uplink", now.utc_ns, pushed))
        return Answer(
            Outcome.DONE, detail="handed to the core; its trace tells what went on the air",
            result={"octets": len(payload), "sha256": hashlib.sha256(payload).hexdigest()},
        )  # fmt: skip

    # Configuration

    def _config_get(self, _command: Command, _said: catalogue.ConfigGet) -> Answer:
        text = self._site_text()
        return Answer(Outcome.DONE, result={"text": text, "sha256": _digest(text)})

    def _config_diff(self, _command: Command, said: catalogue.ConfigDiff) -> Answer:
        return Answer(Outcome.DONE, result={"changes": self._examined(said.text)[0]})

    def _config_apply(self, command: Command, said: catalogue.ConfigApply) -> Answer:
        if _digest(self._site_text()) != said.base:
            raise Refused("base_differs", "the site file is another now; get it first")
        changes, staged = self._examined(said.text, keep=True)
        if not changes:
            staged.unlink(missing_ok=True)
            return Answer(Outcome.DONE, "no_change")
        answer = self._ask(
            UnitOrder(
                id=command.id, kind=OrderKind.APPLY_CONFIG, text=str(staged),
                confirm_s=said.confirm_s,
            )
        )  # fmt: skip
        return Answer(
            answer.outcome, answer.reason, answer.detail,
            {"change": command.id, "changes": changes, "sha256": _digest(said.text)},
        )  # fmt: skip

    def _config_confirm(self, command: Command, said: catalogue.ConfigConfirm) -> Answer:
        return self._ask(UnitOrder(id=command.id, kind=OrderKind.CONFIRM_CONFIG, text=said.change))

    def _examined(self, text: str, *, keep: bool = False) -> tuple[list[dict[str, Any]], Path]:
        """(changes, where the new file lies); Refused with everything that is wrong with it."""
        from rsu.config.leaves import ABSENT, differences
        from rsu.runtime.site_check import site_report

        if self._site_file is None:
            raise Refused("no_site_file")
        staged = config_change.staged_path(self._site_file)
        try:
            config_change.write_durably(staged, text.encode())
        except OSError as error:
            raise Refused("not_writable", f"{staged.parent}: {error.strerror}") from None
        good = False
        try:
            report = site_report(staged)
            if report.errors or report.config is None:
                told = "; ".join(
                    f"{one.line}:{one.column}: {one.path}: {one.message}"
                    + (f" (did you mean {one.suggestion}?)" if one.suggestion else "")
                    for one in report.errors
                )
                raise Refused("invalid_config", told)
            if report.config.site.id != self.config.site.id:
                raise Refused("invalid_config", "site.id may not change")
            rows = [
                {
                    "path": name,
                    **({} if old is ABSENT else {"old": old}),
                    **({} if new is ABSENT else {"new": new}),
                }
                for name, old, new in differences(self.config, report.config)
            ]
            good = True
        finally:
            if not (good and keep):
                staged.unlink(missing_ok=True)
        return rows, staged

    def _site_text(self) -> str:
        if self._site_file is None:
            raise Refused("no_site_file")
        try:
            return self._site_file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Refused("unreadable", str(error)[:200]) from None

    # The unit

    def _log_level(self, command: Command, said: catalogue.LogLevel) -> Answer:
        return self._ask(UnitOrder(id=command.id, kind=OrderKind.LOG_LEVEL, text=said.level))

    def _restart(self, command: Command, said: catalogue.Restart) -> Answer:
        now = self._clock()
        if said.token is None:
            token = secrets.token_hex(16)
            self._token = (command.key, token, now.mono_ns + TOKEN_NS)
            return Answer(Outcome.CONFIRM, result={"token": token, "within_s": TOKEN_NS / NS_PER_S})
        expected, self._token = self._token, None
        if expected is None or now.mono_ns > expected[2]:
            raise Refused("no_token", "ask for one first; it holds for a minute")
        if expected[0] != command.key or not secrets.compare_digest(
            expected[1].encode(), said.token.encode()
        ):
            raise Refused("wrong_token")
        return self._ask(UnitOrder(id=command.id, kind=OrderKind.RESTART))

    def _ask(self, order: UnitOrder) -> Answer:
        """Have the supervisor carry it out."""
        with self._answered:
            self._asked.add(order.id)
        self._publish(Message.draft(UNIT_ORDER, "uplink", self._clock().utc_ns, order))
        with self._answered:
            self._answered.wait_for(lambda: order.id in self._answers, ANSWER_S)
            self._asked.discard(order.id)
            answer = self._answers.pop(order.id, None)
        if answer is None:
            return Answer(Outcome.FAILED, "no_answer", "the supervisor does not answer")
        return _answer(answer)


def _answer(answer: UnitAnswer) -> Answer:
    return Answer(Outcome(answer.outcome), answer.reason, answer.detail)


def _command_of(answer: UnitAnswer) -> str:
    names = {
        OrderKind.LOG_LEVEL: "log.level", OrderKind.APPLY_CONFIG: "config.apply",
        OrderKind.CONFIRM_CONFIG: "config.confirm", OrderKind.RESTART: "restart",
    }  # fmt: skip
    return names[answer.kind]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
