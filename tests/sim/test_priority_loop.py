"""Priority from end to end in lock-step: heard, seen, granted, commanded, green, answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rsu.config.load import load_site
from rsu.config.model import SiteConfig
from rsu.runtime import graph
from rsu.runtime.lockstep import LockStepHost, virtual_boot
from rsu.schema.message import Message
from rsu.schema.priority import RequestState, SignalAction
from rsu.schema.reports import Truth
from rsu.schema.signals import ControllerFlag
from rsu.schema.topics import (
    SIGNAL_COMMAND,
    SIGNAL_PRIORITY,
    SIGNAL_REQUEST,
    SIGNAL_STATE,
    TRUTH,
    V2X_TX,
)
from rsu.schema.units import NS_PER_S
from rsu.schema.wire import pack
from rsu.sim.scenario.model import Scenario
from rsu.sim.source import Commands, overheard, simulated_messages

START_NS = 1_767_225_600_000_000_000
SENT_S = 2
SECONDS = 15
"""Long enough for a bus that does not have to stop, and for no other."""


@pytest.fixture(scope="module")
def site(root: Path) -> SiteConfig:
    """Both worlds, an empty road, and only what is needed on the air."""
    config = load_site(root / "configs" / "junction-both-worlds.yaml")
    assert config.simulation is not None
    assert config.v2x is not None
    assert config.v2x.csae is not None
    assert config.v2x.sae is not None
    off: dict[str, Any] = {"enabled": False}
    csae = {name: getattr(config.v2x.csae, name).model_copy(update=off)
            for name in ("rsm", "spat", "map", "ssm")}  # fmt: skip
    sae = {name: getattr(config.v2x.sae, name).model_copy(update=off)
           for name in ("sdsm", "psm", "spat", "map", "tim")}  # fmt: skip
    v2x = config.v2x.model_copy(
        update={
            "csae": config.v2x.csae.model_copy(update=csae),
            "sae": config.v2x.sae.model_copy(update=sae),
        }
    )
    quiet = {"vehicles_per_hour": 0.0, "pedestrians_per_hour": 0.0}
    world = config.simulation.model_copy(update=quiet)
    return config.model_copy(update={"v2x": v2x, "simulation": world})


def play(config: SiteConfig, root: Path, requests: str, seconds: int) -> list[Message]:
    """A bus comes from the north as its green, group 1, would end if nobody asked."""
    send = {
        "at_s": SENT_S, "do": "send-vehicle", "kind": "bus", "lane": "in-n-2",
        "to_lane": "out-s-2", "requests": requests,
    }  # fmt: skip
    scenario = Scenario.model_validate(
        {
            "title": "Priority", "site": "junction-both-worlds.yaml", "duration_s": seconds,
            "script": [send], "expect": [{"expect": "score", "name": "x", "at_least": 0}],
        }
    )  # fmt: skip
    base, boot = root / "configs", virtual_boot(START_NS)
    kept: list[Message] = []
    commands = Commands()
    host = LockStepHost(
        [graph.core_builder(config, base)(boot)], overheard(kept.append, commands), boot
    )
    source = simulated_messages(
        config, base, 1, START_NS, seconds * NS_PER_S, scenario=scenario, commands=commands
    )
    host.run(source)
    return kept


@pytest.fixture(scope="module")
def asked(site: SiteConfig, root: Path) -> list[Message]:
    return play(site, root, "both", SECONDS)


def is_through(messages: list[Message]) -> bool:
    """Whether the bus has come to the middle of the junction."""
    truths: list[Truth] = [m.payload for m in messages if m.topic == TRUTH]
    there = [one for truth in truths for one in truth.objects if one.role == "bus-line"]
    assert there
    return any(one.position.y < 0.0 for one in there)


def test_what_is_heard_and_seen_is_commanded_and_shown_and_told(asked: list[Message]) -> None:
    first: dict[str, int] = {}

    def note(name: str, message: Message) -> None:
        first.setdefault(name, message.header.publish_ns)

    for message in asked:
        if message.topic == SIGNAL_REQUEST:
            note("heard", message)
        elif message.topic == SIGNAL_COMMAND:
            note(f"command {message.payload.action}", message)
            assert message.payload.group == 1
        elif message.topic == SIGNAL_STATE and ControllerFlag.PRIORITY in message.payload.flags:
            note("shown", message)
        elif message.topic == SIGNAL_PRIORITY:
            for one in message.payload.answers:
                note(str(one.state), message)
        elif message.topic == V2X_TX and message.payload.message in ("SSM", "RSC"):
            text = str(message.payload.value)
            if message.payload.message == "RSC" or "granted" in text:
                note(f"said {message.payload.message}", message)
    order = ["heard", "shown", RequestState.GRANTED, "said SSM"]
    times = [first[str(name)] for name in order]
    assert times == sorted(times)
    assert first["heard"] <= min(first[name] for name in first if name.startswith("command"))
    assert first["said RSC"] >= first[RequestState.GRANTED]
    last = [m.payload for m in asked if m.topic == SIGNAL_COMMAND][-1]
    assert last.action is SignalAction.CANCEL  # past the line nothing is held any more
    # The controller obeys at its next step of 50 ms and says so in its next word, within 100 ms.
    begun = min(first[name] for name in first if name.startswith("command"))
    assert 0 < first["shown"] - begun < 0.2 * NS_PER_S


def test_who_asks_is_through_sooner_and_only_because_the_unit_commands_it(
    asked: list[Message], site: SiteConfig, root: Path
) -> None:
    assert is_through(asked)
    off = site.situation.priority.model_copy(update={"enabled": False})
    deaf = site.model_copy(
        update={"situation": site.situation.model_copy(update={"priority": off})}
    )
    for run in (play(site, root, "none", SECONDS), play(deaf, root, "both", SECONDS)):
        assert not [m for m in run if m.topic == SIGNAL_COMMAND]
        assert not is_through(run)
        flags = {flag for m in run if m.topic == SIGNAL_STATE for flag in m.payload.flags}
        assert flags == {ControllerFlag.TRAFFIC_DEPENDENT}


def test_the_loop_is_the_same_again(asked: list[Message], site: SiteConfig, root: Path) -> None:
    again = [pack(m) for m in play(site, root, "both", 9) if m.topic.recorded]
    commanded = [m for m in asked if m.topic == SIGNAL_COMMAND]
    until_ns = START_NS + 8 * NS_PER_S
    assert commanded[0].header.publish_ns < until_ns
    before = [pack(m) for m in asked if m.topic.recorded and m.header.publish_ns < until_ns]
    assert again[: len(before)] == before
