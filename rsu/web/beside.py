"""The dashboard beside a run in lock-step: `rsu demo`, `rsu replay`.

In: the run's messages, in its own process. Out: the same child process as in a live unit, on a bus
of its own in a temporary folder. Publishing costs the run some 20 µs a message and never waits.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from rsu.config.model import SiteConfig
from rsu.config.web import WebOptions
from rsu.runtime.bus import BusClient, BusHub
from rsu.runtime.graph import WEB_WORKER, sensors_of
from rsu.runtime.supervisor import write_run_folder
from rsu.schema.message import Message
from rsu.web.view import View

STOP_S = 5.0


class DashboardBeside:
    """A context: while it is open, `take` shows messages on `address`."""

    def __init__(self, config: SiteConfig, base: Path, *, log_level: str = "error") -> None:
        options = config.web or WebOptions()
        port = options.port if _free(options.host, options.port) else _any_port(options.host)
        options = options.model_copy(update={"port": port})
        self._config = config.model_copy(update={"web": options})
        self._base = base
        self._log_level = log_level
        self._topics = View(sensors_of(config)).topics
        scheme = "http" if options.tls is None else "https"
        self.address = f"{scheme}://{options.host}:{port}/"
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> DashboardBeside:
        self._folder = tempfile.TemporaryDirectory(prefix="rsu-web-")
        folder = Path(self._folder.name)
        self._hub = BusHub(folder)
        self._hub.start()
        self._bus = BusClient(folder)
        self._bus.open()
        write_run_folder(folder, self._config, self._base)
        arguments = ["-m", "rsu.runtime.child", "web", "foreign", WEB_WORKER, str(folder)]
        self._child = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            process_group=0,
            env={**os.environ, "RSU_LOG_LEVEL": self._log_level},
        )
        return self

    def __exit__(self, *error: object) -> None:
        if self._child is not None:
            self._child.terminate()
            try:
                self._child.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        self._bus.close()
        self._hub.stop()
        with suppress(OSError):
            self._folder.cleanup()

    def take(self, message: Message) -> None:
        """Show one message, if it is of a kind that is shown."""
        if message.topic in self._topics:
            self._bus.publish(message)


def _free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _any_port(host: str) -> int:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
