"""The example that speaks both message sets: replayed from simulated inputs, everything it enables
is in the recording, and each frame decodes under the profile it claims."""

from __future__ import annotations

import io
import json
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from rsu.cli.demo import DemoTally, demo_page
from rsu.config.check import check_site, checked_site
from rsu.recording.reader import read_messages
from rsu.recording.writer import McapFile
from rsu.runtime.stage import Stamp
from rsu.schema.topics import TRUTH, V2X_RX, V2X_TX
from rsu.schema.units import NS_PER_S, Instant
from rsu.schema.v2x import V2xFrame
from rsu.sim.source import simulated_messages
from rsu.v2x.network.unwrap import unwrap

START_NS = 1_750_000_000 * NS_PER_S  # 2025-06-15: within the times of the sign at a school
SECONDS = 4

Rsu = Callable[..., subprocess.CompletedProcess[str]]

CSAE, SAE = "csae157_2020", "j2735_2024"

pytestmark = pytest.mark.component


@dataclass
class Said:
    """What the unit said in SECONDS: as `rsu v2x decode` prints it, and as recorded."""

    decoded: list[dict[str, Any]]
    frames: list[V2xFrame]

    def contents(self, profile: str, message: str) -> list[dict[str, Any]]:
        """What every frame of one kind says."""
        kind = (profile, message)
        frames = [one["value"] for one in self.decoded if (one["profile"], one["message"]) == kind]
        return [next(iter(frame.get("value", frame).values())) for frame in frames]


def found(value: Any, key: str) -> set[Any]:
    """Every value that stands under a key, however deep."""
    if isinstance(value, list):
        return set().union(*(found(item, key) for item in value))
    if not isinstance(value, dict):
        return set()
    own = {value[key]} if key in value and not isinstance(value[key], (dict, list)) else set()
    return own.union(*(found(item, key) for item in value.values()))


@pytest.fixture(scope="module")
def site(root: Path) -> Path:
    return root / "configs" / "junction-both-worlds.yaml"


@pytest.fixture(scope="module")
def said(rsu: Rsu, site: Path, tmp_path_factory: pytest.TempPathFactory) -> Said:
    folder = tmp_path_factory.mktemp("both")
    devices, out = folder / "devices.mcap", folder / "out.mcap"
    stamp = Stamp(Instant(START_NS, 0))
    arrivals = simulated_messages(checked_site(site), site.parent, 1, START_NS, SECONDS * NS_PER_S)
    with McapFile(devices, {}) as file:
        for arrival_ns, draft in arrivals:
            # What vehicles say is not what the unit says.
            if draft.topic not in (TRUTH, V2X_RX):
                file.write(stamp.complete(draft, Instant(arrival_ns, arrival_ns - START_NS)))
    replayed = rsu("replay", devices, "--site", site, "--out", out, "--json")
    assert replayed.returncode == 0, replayed.stderr
    assert not replayed.stderr
    done = rsu("v2x", "decode", out)
    assert done.returncode == 0, done.stderr
    frames = [message.payload for message in read_messages(out, [V2X_TX])]
    return Said([json.loads(line) for line in done.stdout.splitlines()], frames)


def test_it_is_clean_to_the_last_warning(rsu: Rsu, site: Path) -> None:
    assert [str(problem) for problem in check_site(site).problems] == []
    done = rsu("config", "check", "--strict", site)
    assert (done.returncode, done.stdout) == (0, f"{site}: ok: 0 errors, 0 warnings\n")


def test_every_message_of_both_sets_is_in_the_recording(said: Said) -> None:
    counts = Counter((one["profile"], one["message"]) for one in said.decoded)
    expected = [(CSAE, name) for name in ("RSM", "SSM", "SPAT", "MAP", "RSI")]
    expected += [(SAE, name) for name in ("SDSM", "PSM", "SPAT", "MAP", "TIM")]
    assert set(counts) == set(expected)
    for kind in ((CSAE, "SPAT"), (SAE, "SPAT")):
        assert counts[kind] >= 9 * SECONDS, "10 Hz"
    for kind in ((CSAE, "MAP"), (SAE, "MAP"), (CSAE, "RSI"), (SAE, "TIM")):
        assert counts[kind] == SECONDS, "1 Hz"


def test_maps_and_signals_of_both_worlds_name_the_groups_of_the_lane_file(
    said: Said, site: Path
) -> None:
    lanes = json.loads((site.parent / "junction-lanes.geojson").read_text(encoding="utf-8"))
    drawn = {lane["properties"].get("signal_group") for lane in lanes["features"]} - {None}
    assert drawn == set(range(1, 9))
    assert found(said.contents(CSAE, "MAP")[0], "phaseId") == drawn
    assert found(said.contents(SAE, "MAP")[0], "signalGroup") == drawn
    for content in said.contents(CSAE, "SPAT"):
        (junction,) = content["intersections"]
        assert {phase["id"] for phase in junction["phases"]} == drawn
    for content in said.contents(SAE, "SPAT"):
        assert found(content, "signalGroup") == drawn


def test_each_sign_is_said_where_it_has_a_code(said: Said) -> None:
    for content in said.contents(CSAE, "RSI"):
        texts = {sign["signType"]: sign["description"] for sign in content["rtss"]}
        assert texts == {
            85: {"textString": "50 km/h"},
            13: {"textString": "Children, school days"},
        }
    for content in said.contents(SAE, "TIM"):
        assert found(content, "itis") == {268}


def test_both_worlds_hear_of_the_same_road_users(said: Said) -> None:
    seen = {
        kind: {track for one in said.frames if (one.profile, one.message) == kind
               for track in one.subjects}
        for kind in ((CSAE, "RSM"), (CSAE, "SSM"), (SAE, "SDSM"), (SAE, "PSM"))
    }  # fmt: skip
    assert len(seen[CSAE, "RSM"]) > 10
    assert seen[CSAE, "RSM"] == seen[CSAE, "SSM"] == seen[SAE, "SDSM"]
    assert set() < seen[SAE, "PSM"] < seen[SAE, "SDSM"]


def test_headers_carry_the_identifiers_of_the_site_file(said: Said) -> None:
    aids = {(one.profile, one.message): one.aid for one in said.frames}
    assert aids[CSAE, "SSM"] == 3626
    assert aids[CSAE, "MAP"] == 3618
    assert aids[SAE, "SDSM"] == 0x90
    for one in said.frames:
        layers = [layer.name for layer in unwrap(one.network).layers]
        assert layers == (["dsmp"] if one.profile == CSAE else ["pc5", "wsmp"])


def test_the_page_of_the_demo_shows_frames_of_both_worlds(said: Said) -> None:
    newest = {one.name: one for one in said.frames}
    for name, first in (("RSM", "rsmFrame"), ("sae/SDSM", "SensorDataSharingMessage")):
        tally = DemoTally()
        tally.frame = newest[name]
        console = Console(width=100, file=io.StringIO())
        with console.capture() as drawn:
            console.print(demo_page("junction", tally))
        assert f"last {name} (" in drawn.get()
        assert f"  {first}: {{" in drawn.get()


def test_the_demo_shows_it(rsu: Rsu, site: Path) -> None:
    done = rsu("demo", "--site", site, "--duration", "3", "--json")
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    csae = {"RSM", "SSM", "SPAT", "MAP", "RSI"}
    sae = {"sae/SDSM", "sae/PSM", "sae/SPAT", "sae/MAP", "sae/TIM"}
    assert csae | sae <= set(last["messages"])
