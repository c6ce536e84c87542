"""Children are split off in a moment, belong to the supervisor, and do without the nursery."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, signal, subprocess, sys, time
from pathlib import Path
from rsu.config.model import SiteConfig
from rsu.runtime import nursery as n
from rsu.runtime.graph import ProcessPlan

def lives(*arguments):
    # In place of a child's life: say who one is, then wait for SIGTERM.
    n.die_with_parent()
    site = arguments[4][0].site.id
    Path(arguments[3], "born").write_text(f"{os.getppid()} {arguments[:3]} {site}")
    while True:
        time.sleep(0.01)

n.live = lives
folder = Path(sys.argv[1])
config = SiteConfig.model_validate(
    {"site": {"id": "aisle", "origin": {"latitude": 31.0, "longitude": 121.0}}}
)
plan = ProcessPlan("core", "core", 0)
nursery = n.open_nursery(config, folder, [plan])
child = nursery.split(plan, folder)
while not (folder / "born").is_file() or not (folder / "born").read_text():
    time.sleep(0.01)
assert (folder / "born").read_text() == f"{os.getpid()} ('core', 'core', '') aisle"
assert child.poll() is None
try:
    child.wait(0.01)
    raise AssertionError
except subprocess.TimeoutExpired:
    pass
child.terminate()
assert child.wait(10) == -signal.SIGTERM, child.returncode
second = nursery.split(plan, folder)
os.kill(second.pid, signal.SIGKILL)
assert second.wait(10) == -signal.SIGKILL
os.kill(nursery._pid, signal.SIGKILL)
os.waitpid(nursery._pid, 0)
assert nursery.split(plan, folder) is None  # the host then starts a program of its own
assert nursery.split(plan, folder) is None
nursery.close()
print("done")
"""


def test_children_are_split_off_watched_and_done_without(tmp_path: Path) -> None:
    # In a process of its own, as pytest may have threads and must not be split.
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(tmp_path)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.stdout.endswith("done\n"), done.stderr


def test_a_process_with_threads_is_not_split(tmp_path: Path) -> None:
    script = (
        "import threading, sys; from rsu.runtime.nursery import open_nursery\n"
        "stop = threading.Event(); t = threading.Thread(target=stop.wait); t.start()\n"
        "print(open_nursery(None, None, []))\n"
        "stop.set(); t.join()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "None\n", done.stderr


def test_the_children_of_a_killed_supervisor_end(tmp_path: Path) -> None:
    script = (
        SCRIPT.split("assert child.poll()", maxsplit=1)[0]
        + "print(child.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as keeper:
        assert keeper.stdout is not None
        child = int(keeper.stdout.readline())
        handle = os.pidfd_open(child)
        try:
            keeper.send_signal(signal.SIGKILL)
            keeper.wait()
            assert select.select([handle], [], [], 30)[0], "the child outlived its supervisor"
        finally:
            os.close(handle)
