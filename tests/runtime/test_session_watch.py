"""A double that takes our session is suspected; an ordinary loss of the line is not."""

from __future__ import annotations

from rsu.runtime.session_watch import MANY, SHORT_NS, TAKEN_OVER, SessionWatch
from rsu.schema.units import NS_PER_S, Instant


def look(
    watch: SessionWatch, seconds: float, connected: bool, connections: int, failure: str = ""
) -> bool:
    ns = round(seconds * NS_PER_S)
    return watch.take(Instant(ns, ns), connected=connected, connections=connections,
                      failure=failure or None)  # fmt: skip


def test_sessions_of_which_none_lasts_are_suspicious_until_one_does() -> None:
    watch, changes = SessionWatch(), []
    for number in range(MANY):
        at = 20.0 * number
        changes.append(look(watch, at, True, number + 1))
        changes.append(look(watch, at + 3, False, number + 1, "connection_lost"))
    assert changes == [False] * (2 * MANY - 1) + [True]
    assert watch.suspected
    assert not look(watch, 100, True, MANY + 1)
    assert look(watch, 100 + SHORT_NS / NS_PER_S, True, MANY + 1)
    assert not watch.suspected


def test_sessions_too_short_to_be_seen_count() -> None:
    watch = SessionWatch()
    assert look(watch, 1, False, MANY, "connection_lost")


def test_a_broker_that_says_so_is_believed_at_once() -> None:
    watch = SessionWatch()
    look(watch, 0, True, 1)
    assert look(watch, 1000, False, 1, TAKEN_OVER)


def test_a_line_that_is_lost_now_and_then_is_not_suspicious() -> None:
    watch = SessionWatch()
    for number in range(20):
        assert not look(watch, 100.0 * number, True, number + 1)
        assert not look(watch, 100.0 * number + 50, False, number + 1, "connection_lost")
    for number in range(20, 30):  # short ones, but far apart
        assert not look(watch, 1000.0 * number, True, number + 1)
        assert not look(watch, 1000.0 * number + 1, False, number + 1, "connection_lost")
