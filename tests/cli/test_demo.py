"""The demo tracks objects and says messages that decode, and ends when it is told to."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
import urllib.request
import zlib
from typing import Any

import pytest
from rich.console import Console
from websockets.sync.client import connect

from rsu.cli.demo import DemoTally, demo_page, example_site
from rsu.v2x.codec import codec_for

pytestmark = pytest.mark.component


DEMO = [sys.executable, "-m", "rsu.cli", "demo"]


def test_a_headless_demo_tracks_and_speaks() -> None:
    done = subprocess.run(
        [*DEMO, "--cameras", "modelled", "--duration", "4", "--headless"],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert any("objects" in line and "RSM" in line for line in lines)
    assert "last RSM, decoded" in done.stdout
    # On a busy machine it says that it falls behind, and nothing else.
    assert not done.stderr or done.stderr.startswith("this machine cannot keep up")


def test_json_lines_and_masked_pictures_of_rendered_cameras() -> None:
    with subprocess.Popen(
        [*DEMO, "--json", "--web"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        assert demo.stderr is not None
        try:
            address = demo.stderr.readline().removeprefix("dashboard: ").strip()
            cameras = seen_on(address)
            with urllib.request.urlopen(f"{address}api/preview?sensor=north-east") as answer:
                jpeg = answer.read()
            last = next(told for line in demo.stdout if said_of_somebody(told := json.loads(line)))
            demo.send_signal(signal.SIGINT)
            demo.communicate(timeout=60)
        finally:
            demo.kill()
    assert [camera["sensor"] for camera in cameras] == ["north-east", "south-west"]
    assert all(camera["masked"] for camera in cameras)
    assert jpeg.startswith(b"\xff\xd8")
    assert len(jpeg) > 3_000, "640×384 px are more than that"
    assert last["age_p50_ms"] > 20, "the modelled camera alone takes longer than that"
    assert isinstance(last["drops"], dict)


def said_of_somebody(told: dict[str, Any]) -> bool:
    """Whether a line of the demo has road users, and some messages of them."""
    return bool(told["objects"]) and told["messages"].get("RSM", 0) > 3


def seen_on(address: str) -> list[dict[str, Any]]:
    """The cameras of the dashboard once all give pictures and a box bears the id of its track."""
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        try:
            with connect(f"{address.replace('http', 'ws')}live") as live:
                while time.monotonic() < deadline:
                    told = json.loads(zlib.decompress(live.recv(timeout=60)))["cameras"]
                    known = any(box["track"] is not None for one in told for box in one["boxes"])
                    if known and all(one["frame"] is not None for one in told):
                        return list(told)
        except OSError:  # not listening yet
            time.sleep(0.05)
    raise AssertionError("no pictures with known road users")


def test_a_world_that_cannot_be_made_is_one_line_and_exit_code_2() -> None:
    done = subprocess.run(
        [*DEMO, "--seed", "-1", "--headless"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "rsu: seed -1 is negative\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_it_cleanly(number: signal.Signals) -> None:
    command = [*DEMO, "--cameras", "modelled", "--headless"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        assert demo.stdout.readline()
        demo.send_signal(number)
        out, err = demo.communicate(timeout=30)
    assert demo.returncode == 0
    assert "objects tracked" in out
    assert not err or err.startswith("this machine cannot keep up")


def test_the_page_can_be_drawn_before_anything_happened() -> None:
    console = Console(width=100, file=io.StringIO())
    with console.capture() as drawn:
        console.print(demo_page("junction", DemoTally()))
    assert "nothing said yet" in drawn.get()


def test_the_example_site_is_found_and_speaks_a_profile_that_exists() -> None:
    assert example_site("junction.yaml").is_file()
    assert codec_for("csae53_2020")
