"""Reports to whole topics, of other content than JSON; outboxes from before there were any."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from rsu.schema.reports import BINARY, JSON, Priority, UplinkReport, topic_of
from rsu.uplink.outbox import Outbox
from rsu.uplink.store import Store


def report(name: str, subject: str, body: bytes, content_type: str = JSON) -> UplinkReport:
    return UplinkReport(
        id=name, subject=subject, priority=Priority.EVENT, ttl_s=60.0, body=body,
        content_type=content_type,
    )  # fmt: skip


def test_a_subject_is_below_the_prefix_or_after_a_slash_the_whole_topic() -> None:
    assert report("a", "tracks", b"{}").topic("rsu/corner") == "rsu/corner/tracks"
    assert topic_of("/V2X.RSU.RSM.UP", "rsu/corner") == "V2X.RSU.RSM.UP"


def test_topic_and_content_type_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    frame = bytes(range(256))
    first = Outbox(path, max_bytes=1_000_000, commit_s=0.01)
    first.offer(report("a", "/V2X.RSU.RSM.UP", frame, BINARY))
    first.offer(report("b", "event", b"{}"))
    first.offer(report("c", "/", b"{}"))
    assert first.close(5.0)
    store = Store.open(path)
    entries, damaged = store.read_all()
    store.close()
    assert damaged == []
    assert [(e.subject, e.content_type, e.body) for e in entries] == [
        ("/V2X.RSU.RSM.UP", BINARY, frame),
        ("event", JSON, b"{}"),
    ]
    assert first.stats().dropped == {"invalid": 1}


def test_an_outbox_from_before_content_types_is_read_as_json(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    outbox = Outbox(path, max_bytes=1_000_000, commit_s=0.01)
    outbox.offer(report("a", "event", b'{"a":1}'))
    outbox.close(5.0)
    with sqlite3.connect(path) as file:  # as the version before left it
        file.execute("ALTER TABLE reports DROP COLUMN content_type")
        file.execute("PRAGMA user_version = 1")
    file.close()
    for _ in range(2):
        store = Store.open(path)
        entries, damaged = store.read_all()
        store.close()
        assert (damaged, [(e.id, e.content_type) for e in entries]) == ([], [("a", JSON)])


def test_a_changed_content_type_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "outbox.db"
    outbox = Outbox(path, max_bytes=1_000_000, commit_s=0.01)
    outbox.offer(report("a", "event", b"\x01", BINARY))
    outbox.close(5.0)
    with sqlite3.connect(path) as file:
        file.execute("UPDATE reports SET content_type = ''")
    file.close()
    store = Store.open(path)
    assert len(store.read_all()[1]) == 1
    store.close()


@pytest.mark.parametrize("subject", ["/", "//a", "/a/#", "/a+b"])
def test_a_whole_topic_is_checked_like_any_other(subject: str, tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db", max_bytes=1_000_000, commit_s=0.01)
    outbox.offer(report("a", subject, b"{}"))
    assert outbox.stats().dropped == {"invalid": 1}
    outbox.close(5.0)
