"""The file radio: lines that other tools read, rotation, crashes and full disks."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from rsu.config.radios import FileRadioOptions
from rsu.hal.errors import DeviceError
from rsu.hal.radio import file as file_radio
from rsu.hal.radio.file import FileRadio, rfc3339
from rsu.schema.v2x import V2xFrame

NOW_NS = 1_735_689_600_123_456_789


def frame(payload: bytes = b"\x01\xab") -> V2xFrame:
    return V2xFrame(
        profile="csae53_2020", message="RSM", payload=payload, network=b"", aid=3623, priority=208,
        value={}, time_ns=0,
    )  # fmt: skip


def radio(folder: Path, max_bytes: int = 1000) -> FileRadio:
    options = FileRadioOptions(id="r", driver="file", path="out/air.jsonl", max_bytes=max_bytes)
    made = FileRadio(options, folder, lambda: NOW_NS)
    made.open()
    return made


def test_a_line_is_the_documented_json(tmp_path: Path) -> None:
    made = radio(tmp_path)
    made.send(frame())
    # Readable at once, before closing.
    assert (tmp_path / "out" / "air.jsonl").read_bytes() == (
        b'{"time": "2025-01-01T00:00:00.123456789Z", "message": "RSM", "aid": 3623, '
        b'"hex": "01ab"}\n'
    )
    made.close()


def test_opening_again_appends(tmp_path: Path) -> None:
    for _ in range(2):
        made = radio(tmp_path)
        made.send(frame())
        made.close()
    assert len((tmp_path / "out" / "air.jsonl").read_text().splitlines()) == 2


def test_a_half_line_left_by_a_power_cut_spoils_only_itself(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "air.jsonl").write_text('{"time": "20')
    made = radio(tmp_path)
    made.send(frame())
    made.close()
    lines = (tmp_path / "out" / "air.jsonl").read_text().splitlines()
    assert lines[0] == '{"time": "20'
    assert json.loads(lines[1])["hex"] == "01ab"


def test_a_full_file_is_kept_as_dot_one_and_no_line_is_split(tmp_path: Path) -> None:
    made = radio(tmp_path, max_bytes=250)
    for index in range(7):
        made.send(frame(bytes([index])))
    made.close()
    new, old = tmp_path / "out" / "air.jsonl", tmp_path / "out" / "air.jsonl.1"
    lines = old.read_text().splitlines() + new.read_text().splitlines()
    # Lines of 89 octets: two a file, so that of seven the first four are gone.
    assert [json.loads(line)["hex"] for line in lines] == ["04", "05", "06"]
    assert max(new.stat().st_size, old.stat().st_size) <= 250


def test_a_line_longer_than_the_limit_is_still_written(tmp_path: Path) -> None:
    made = radio(tmp_path, max_bytes=10)
    made.send(frame())
    made.send(frame(b"\x02"))
    made.close()
    assert json.loads((tmp_path / "out" / "air.jsonl").read_text())["hex"] == "02"
    assert json.loads((tmp_path / "out" / "air.jsonl.1").read_text())["hex"] == "01ab"


def test_a_full_disk_is_a_device_error_and_leaves_no_half_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = radio(tmp_path)
    made.send(frame())
    write = os.write
    monkeypatch.setattr(file_radio.os, "write", lambda fd, data: write(fd, data[:10]))
    with pytest.raises(DeviceError, match=os.strerror(errno.ENOSPC)) as caught:
        made.send(frame())
    assert "free space" in caught.value.next_step
    monkeypatch.setattr(file_radio.os, "write", write)
    made.send(frame(b"\x03"))
    made.close()
    lines = (tmp_path / "out" / "air.jsonl").read_text().splitlines()
    assert [json.loads(line)["hex"] for line in lines] == ["01ab", "03"]


def test_a_device_that_is_always_full_is_a_device_error(tmp_path: Path) -> None:
    options = FileRadioOptions(id="r", driver="file", path="/dev/full")
    made = FileRadio(options, tmp_path)
    made.open()
    with pytest.raises(DeviceError, match="cannot be written"):
        made.send(frame())
    made.close()


def test_times_have_nine_decimals() -> None:
    assert rfc3339(0) == "1970-01-01T00:00:00.000000000Z"
    assert rfc3339(NOW_NS) == "2025-01-01T00:00:00.123456789Z"
