"""The mobile modem's signal, where ModemManager's `mmcli` is there to ask.

In: the output of `mmcli -J -m any --signal-get`, asked for every ASK_S in a thread of its own. Out:
`ModemSignal`, or why it is unknown: no `mmcli`, no modem, no answer in time, or a modem that was
not told to measure (`mmcli -m any --signal-setup=10`; we change no settings of a modem).
"""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import threading
from typing import Any

from rsu.schema.health import ModemSignal

ASK_S = 30.0
ANSWER_S = 3.0
"""D-Bus itself gives up after 25 s; ModemManager answers from memory within milliseconds."""
_TECHNOLOGIES = (("5g", "5g"), ("lte", "lte"))
"""The best that has values speaks: name in mmcli's output, and in ours."""


class ModemWatch:
    """Asks now and then; `reading` is the newest answer."""

    def __init__(self, ask_s: float = ASK_S) -> None:
        self._ask_s = ask_s
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._reading: tuple[ModemSignal | None, str] = (None, "not asked yet")
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to ask; without `mmcli` there is nothing to start."""
        if shutil.which("mmcli") is None:
            self._reading = (None, "no mmcli on this machine")
            return
        self._thread = threading.Thread(target=self._run, name="uplink-modem", daemon=True)
        self._thread.start()

    def reading(self) -> tuple[ModemSignal | None, str]:
        """(signal, "") or (None, why it is unknown)."""
        with self._lock:
            return self._reading

    def stop(self, timeout_s: float) -> bool:
        """End the thread."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout_s)
            return not self._thread.is_alive()
        return True

    def _run(self) -> None:
        while not self._stopping.is_set():
            found = ask_modem()
            with self._lock:
                self._reading = found
            self._stopping.wait(self._ask_s)


def ask_modem() -> tuple[ModemSignal | None, str]:
    """Ask once; takes ANSWER_S at most."""
    binary = shutil.which("mmcli")
    if binary is None:
        return None, "no mmcli on this machine"
    try:
        done = subprocess.run(
            [binary, "-J", "-m", "any", "--signal-get"],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=ANSWER_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return None, f"mmcli does not answer within {ANSWER_S:g} s"
    except OSError as error:
        return None, f"mmcli: {error.strerror}"
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").split()
        return None, "mmcli: " + " ".join(words)[:150]
    return read_signal(done.stdout)


def read_signal(output: bytes) -> tuple[ModemSignal | None, str]:
    """What `mmcli -J --signal-get` printed."""
    try:
        signal = json.loads(output)["modem"]["signal"]
        for name, technology in _TECHNOLOGIES:
            said = signal.get(name) or {}
            values = [_decibels(said.get(key)) for key in ("rsrp", "rsrq", "snr")]
            if any(value is not None for value in values):
                rsrp, rsrq, snr = values
                return ModemSignal(
                    technology=technology, rsrp_dbm=rsrp, rsrq_db=rsrq, snr_db=snr
                ), ""
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None, "mmcli says something we do not understand"
    return None, "the modem measures nothing: mmcli -m any --signal-setup=10"


def _decibels(text: Any) -> float | None:
    try:
        value = float(text)
    except (TypeError, ValueError):
        return None  # "--": no value
    return value if math.isfinite(value) else None
