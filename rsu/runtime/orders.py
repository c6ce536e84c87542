"""Orders to the unit as a whole: its log level, its configuration, its restart.

In: `UnitOrder`s that the uplink's process puts on the bus for a platform, and once a turn how the
unit is. Out: `UnitAnswer`s, `again` when the unit has to be started anew, `reload` when it has to
take its site file in again. A changed site file is on trial (`rsu.runtime.config_change`): unless
every process runs within READY_S and the platform confirms within `confirm_s`, the old one returns.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import structlog

from rsu.runtime import config_change
from rsu.runtime.config_change import Trial
from rsu.runtime.log import LEVEL_FILE, LEVELS, set_level
from rsu.schema.orders import OrderKind, UnitAnswer, UnitOrder
from rsu.schema.units import NS_PER_S, Instant

READY_S = 60.0
"""A changed unit must be ready by then: twice the 30 s that one process may take."""
FAREWELL_NS = NS_PER_S
"""Between the answer to an order and what it does: the answer gets onto the outbox's disk."""


class Orders:
    """One per host. `site_file` None (a unit without one, in tests): its file cannot change."""

    def __init__(
        self, folder: Path, site_file: Path | None, trial: Trial | None, now: Instant
    ) -> None:
        self._folder = folder
        self._site_file = site_file
        self._trial = trial
        self._began_ns = now.mono_ns
        self._told = False
        self._again_at_ns: int | None = None
        self._reload_at_ns: int | None = None
        self._log = structlog.get_logger()

    @property
    def on_trial(self) -> bool:
        """Whether a change waits for its confirmation."""
        return self._trial is not None

    def again(self, now: Instant) -> bool:
        """Whether the unit is to be started anew now."""
        return self._again_at_ns is not None and now.mono_ns >= self._again_at_ns

    def reload(self, now: Instant) -> bool:
        """Whether the site file is to be taken in now; true once. From here on it is on trial."""
        if self._reload_at_ns is None or now.mono_ns < self._reload_at_ns:
            return False
        self._reload_at_ns = None
        return True

    def taken_in(self, now: Instant) -> None:
        """The site file has been taken in while the unit ran: its trial, if it is on one, begins.
        Where the whole unit starts anew, that start begins it."""
        if self._site_file is not None:
            self._trial = config_change.at_start(self._site_file)
            self._began_ns, self._told = now.mono_ns, False

    def not_usable(self, why: str, now: Instant) -> None:
        """The site file could not be taken in."""
        if self._site_file is not None and config_change.read_trial(self._site_file) is not None:
            self._take_back("not_usable", why, now)

    def take(self, order: UnitOrder, now: Instant) -> UnitAnswer:
        """Carry an order out, or begin to."""
        try:
            outcome, reason = self._carry_out(order, now)
            detail = ""
        except OSError as error:
            outcome, reason, detail = "failed", "file", f"{error.filename}: {error.strerror}"
        self._log.info("order", kind=order.kind.value, id=order.id, outcome=outcome, reason=reason)
        return UnitAnswer(
            order=order.id, kind=order.kind, outcome=outcome, reason=reason, detail=detail
        )

    def step(self, now: Instant, *, ready: bool, broken: str) -> Iterator[UnitAnswer]:
        """What there is to say of a change on trial; `broken` names processes that were given up.

        The uplink hears it only when it runs: nothing is said before `ready`.
        """
        trial = self._trial
        waiting = self._again_at_ns is not None or self._reload_at_ns is not None
        if trial is None or self._site_file is None or waiting:
            return
        age_s = (now.mono_ns - self._began_ns) / NS_PER_S
        if trial.taken_back:
            if ready or age_s > READY_S:
                yield self._said(trial, "rolled_back", trial.taken_back, trial.detail)
                self._trial = None
                self._forget()
        elif broken:
            self._take_back("not_ready", f"{broken} given up", now)
        elif not ready:
            if age_s > READY_S:
                self._take_back("not_ready", f"not within {READY_S:g} s", now)
        elif age_s > trial.confirm_s:
            self._take_back("not_confirmed", f"not within {trial.confirm_s:g} s", now)
        elif not self._told:
            self._told = True
            yield self._said(
                trial, "accepted", "confirm", f"within {trial.confirm_s - age_s:.0f} s"
            )

    def _carry_out(self, order: UnitOrder, now: Instant) -> tuple[str, str]:
        if order.kind is OrderKind.LOG_LEVEL:
            return self.set_level(order.text)
        if order.kind is OrderKind.RESTART:
            self._again_at_ns = now.mono_ns + FAREWELL_NS
            return "accepted", "restarting"
        if self._site_file is None:
            return "failed", "no_site_file"
        if order.kind is OrderKind.CONFIRM_CONFIG:
            return self._confirm(self._site_file, order.text)
        return self._apply(self._site_file, order, now)

    def set_level(self, level: str) -> tuple[str, str]:
        """For every process of the unit, within a second; (outcome, reason)."""
        if level not in LEVELS:
            return "failed", "no_such_level"
        (self._folder / LEVEL_FILE).write_text(level, encoding="ascii")
        os.environ["RSU_LOG_LEVEL"] = level
        set_level(level)
        return "done", ""

    def _confirm(self, site_file: Path, change: str) -> tuple[str, str]:
        if self._trial is None or self._trial.taken_back or self._trial.change != change:
            return "failed", "nothing_to_confirm"
        config_change.keep(site_file)
        self._trial = None
        return "done", ""

    def _apply(self, site_file: Path, order: UnitOrder, now: Instant) -> tuple[str, str]:
        if self._trial is not None or self._reload_at_ns is not None:
            return "failed", "change_on_trial"
        trial = Trial(change=order.id, confirm_s=order.confirm_s)
        config_change.begin(site_file, Path(order.text), trial)
        self._reload_at_ns = now.mono_ns + FAREWELL_NS
        return "accepted", "restarting"

    def _take_back(self, reason: str, detail: str, now: Instant) -> None:
        assert self._site_file is not None
        self._log.error("configuration taken back", reason=reason, detail=detail)
        try:
            config_change.take_back(self._site_file, reason, detail)
        except OSError as error:
            self._log.error("configuration not taken back", problem=str(error))
            self._trial = None
            return
        self._reload_at_ns = now.mono_ns

    def _forget(self) -> None:
        assert self._site_file is not None
        try:
            config_change.keep(self._site_file)
        except OSError as error:
            self._log.error("trial not removed", problem=str(error))

    @staticmethod
    def _said(trial: Trial, outcome: str, reason: str, detail: str) -> UnitAnswer:
        return UnitAnswer(
            order=trial.change, kind=OrderKind.APPLY_CONFIG, outcome=outcome, reason=reason,
            detail=detail,
        )  # fmt: skip
