"""Orders to the unit: log level, restart, and site files that are tried, kept or taken back."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from rsu.runtime import config_change, log
from rsu.runtime.config_change import Trial
from rsu.runtime.orders import READY_S, Orders
from rsu.schema.orders import OrderKind, UnitAnswer, UnitOrder
from rsu.schema.units import NS_PER_S, Instant


def at(seconds: float) -> Instant:
    ns = int(seconds * NS_PER_S)
    return Instant(1_750_000_000 * NS_PER_S + ns, ns)


def order(kind: OrderKind, text: str = "", name: str = "change-1") -> UnitOrder:
    return UnitOrder(id=name, kind=kind, text=text, confirm_s=30.0)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text("old")
    path.chmod(0o640)
    return path


def stage(site: Path, text: str = "new") -> str:
    staged = config_change.staged_path(site)
    staged.write_text(text)
    return str(staged)


def restarted(site: Path, seconds: float) -> Orders:
    return Orders(site.parent, site, config_change.at_start(site), at(seconds))


def apply(site: Path) -> None:
    first = Orders(site.parent, site, None, at(0))
    answer = first.take(order(OrderKind.APPLY_CONFIG, stage(site)), at(0))
    assert (answer.outcome, answer.reason) == ("accepted", "restarting")
    assert not first.reload(at(0.5))
    assert first.reload(at(1.0))
    assert not first.reload(at(1.1))  # once
    assert site.read_text() == "new"
    assert config_change.previous_path(site).read_text() == "old"


def said(orders: Orders, seconds: float, *, ready: bool = True, broken: str = "") -> list[str]:
    found: list[UnitAnswer] = list(orders.step(at(seconds), ready=ready, broken=broken))
    assert all(one.order == "change-1" for one in found)
    return [f"{one.outcome}:{one.reason}" for one in found]


def test_a_change_that_is_confirmed_stays(site: Path) -> None:
    apply(site)
    orders = restarted(site, 10)
    assert said(orders, 12, ready=False) == []
    assert said(orders, 14) == ["accepted:confirm"]
    assert said(orders, 15) == []  # once
    wrong = orders.take(order(OrderKind.CONFIRM_CONFIG, "another", "x"), at(16))
    assert (wrong.outcome, wrong.reason) == ("failed", "nothing_to_confirm")
    assert orders.take(order(OrderKind.CONFIRM_CONFIG, "change-1", "y"), at(17)).outcome == "done"
    assert said(orders, 1000) == []
    assert not orders.again(at(1000))
    assert site.read_text() == "new"
    assert config_change.at_start(site) is None


@pytest.mark.parametrize(
    ("seconds", "ready", "broken", "reason"),
    [
        (15, False, "camera:north", "not_ready"),
        (10 + READY_S + 1, False, "", "not_ready"),
        (10 + 31, True, "", "not_confirmed"),
    ],
)
def test_a_change_that_does_not_work_is_taken_back_and_the_platform_told(
    site: Path, seconds: float, ready: bool, broken: str, reason: str
) -> None:
    apply(site)
    orders = restarted(site, 10)
    assert said(orders, seconds, ready=ready, broken=broken) == []
    assert orders.reload(at(seconds))
    assert site.read_text() == "old"
    assert site.stat().st_mode & 0o777 == 0o640
    again = restarted(site, seconds + 5)
    assert said(again, seconds + 6, ready=False) == []  # nobody would hear it
    assert said(again, seconds + 8) == [f"rolled_back:{reason}"]
    assert config_change.at_start(site) is None
    assert not again.again(at(seconds + 100))


def test_a_crash_before_the_confirmation_takes_the_change_back(site: Path) -> None:
    apply(site)
    restarted(site, 10)  # and this unit dies
    again = restarted(site, 20)
    assert site.read_text() == "old"
    assert said(again, 25) == ["rolled_back:ended_before_confirmation"]


def test_only_one_change_is_on_trial(site: Path) -> None:
    apply(site)
    orders = restarted(site, 10)
    answer = orders.take(order(OrderKind.APPLY_CONFIG, stage(site, "third"), "z"), at(11))
    assert (answer.outcome, answer.reason) == ("failed", "change_on_trial")
    assert site.read_text() == "new"


def test_a_file_that_cannot_be_written_changes_nothing(site: Path) -> None:
    orders = Orders(site.parent, site, None, at(0))
    answer = orders.take(order(OrderKind.APPLY_CONFIG, str(site.parent / "missing")), at(0))
    assert (answer.outcome, answer.reason) == ("failed", "file")
    assert site.read_text() == "old"
    assert config_change.at_start(site) is None
    assert not orders.again(at(100))


def test_a_trial_note_that_is_garbage_is_none(site: Path) -> None:
    site.with_name("site.yaml.trial").write_bytes(b"\xff\x00garbage")
    assert config_change.at_start(site) is None
    assert site.read_text() == "old"


def test_a_power_cut_between_the_note_and_the_new_file_leaves_the_old_one(site: Path) -> None:
    """The note is written first: a start then tries what is still the old file."""
    config_change.write_durably(config_change.previous_path(site), b"old")
    note = Trial(change="change-1", confirm_s=30.0)
    config_change._write_trial(site, note)
    assert config_change.at_start(site) == Trial(change="change-1", confirm_s=30.0, started=True)
    assert site.read_text() == "old"


def test_a_unit_without_a_site_file_refuses_changes(tmp_path: Path) -> None:
    orders = Orders(tmp_path, None, None, at(0))
    assert orders.take(order(OrderKind.APPLY_CONFIG, "x"), at(0)).reason == "no_site_file"
    assert orders.take(order(OrderKind.RESTART), at(0)).outcome == "accepted"
    assert orders.again(at(1))


@pytest.fixture
def _level(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RSU_LOG_LEVEL", "info")
    yield
    log.set_level("info")


@pytest.mark.usefixtures("_level")
def test_the_log_level_reaches_this_process_and_those_that_look(tmp_path: Path) -> None:
    orders = Orders(tmp_path, None, None, at(0))
    assert orders.take(order(OrderKind.LOG_LEVEL, "error"), at(0)).outcome == "done"
    assert log._level == logging.ERROR
    log.set_level("info")
    log.follow_level(tmp_path)
    assert log._level == logging.ERROR
    assert orders.take(order(OrderKind.LOG_LEVEL, "loud"), at(0)).reason == "no_such_level"
    (tmp_path / log.LEVEL_FILE).write_bytes(json.dumps("garbage").encode())
    log.follow_level(tmp_path)
    assert log._level == logging.ERROR
