"""The demo tracks objects and says messages that decode, and ends when it is told to."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys

import pytest
from rich.console import Console

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


def test_json_lines_are_whole_objects_with_ages_and_drops() -> None:
    done = subprocess.run(
        [*DEMO, "--duration", "2", "--json"],
        capture_output=True, text=True, timeout=110, check=True,
    )  # fmt: skip
    summaries = [json.loads(line) for line in done.stdout.splitlines()]
    last = summaries[-1]
    assert last["objects"] > 0
    assert last["messages"]["RSM"] > 10
    assert last["age_p50_ms"] > 20, "the modelled camera alone takes longer than that"
    assert isinstance(last["drops"], dict)


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
