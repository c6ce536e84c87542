"""What disciplines the clock, as chrony tells it: for people, beside the kernel's own word.

In: `chronyc -n -c tracking`, asked in a thread so that nobody waits for it. Out: the newest
`ClockSource`, None where chrony is not there or does not answer. Whether the clock may be trusted
is decided on the kernel's word alone (`rsu.runtime.clock`), which every such program sets.
"""

from __future__ import annotations

import shutil
import subprocess
import threading

from rsu.schema.health import ClockSource

ASK_S = 16.0
"""chrony itself asks its sources every 64 s at most often by default."""
ANSWER_S = 2.0
COMMAND = ("chronyc", "-n", "-c", "tracking")


def read_tracking(line: str) -> ClockSource | None:
    """One line of `chronyc -c tracking`: 14 comma-separated fields (chronyc(1), tracking): id,
    address, stratum, time, offset of the system clock, last offset, RMS offset, frequency,
    residual, skew, root delay, root dispersion, interval, leap status."""
    fields = line.strip().split(",")
    if len(fields) != 14:
        return None
    try:
        return ClockSource(
            reference=fields[1] or fields[0],
            stratum=int(fields[2]),
            offset=float(fields[4]),
            uncertainty=float(fields[11]) + float(fields[10]) / 2.0,  # RFC 5905: root distance
            leap=fields[13].lower(),
        )
    except ValueError:
        return None


class TimeSource:
    """The newest word of chrony."""

    def __init__(self, command: tuple[str, ...] = COMMAND) -> None:
        self._command = command
        self._stop = threading.Event()
        self._newest: ClockSource | None = None
        self._thread: threading.Thread | None = None
        if shutil.which(command[0]) is not None:
            self._thread = threading.Thread(target=self._ask, name="chrony", daemon=True)
            self._thread.start()

    @property
    def newest(self) -> ClockSource | None:
        return self._newest

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(ANSWER_S + 1.0)

    def _ask(self) -> None:
        while True:
            self._newest = ask_chrony(self._command)
            if self._stop.wait(ASK_S):
                return


def ask_chrony(command: tuple[str, ...] = COMMAND) -> ClockSource | None:
    """Ask once; None when there is no answer in time."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=ANSWER_S, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    return read_tracking(done.stdout) if done.returncode == 0 else None
