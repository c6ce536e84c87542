"""A recording on the page of the dashboard: `rsu replay --web`.

In: a recording, which may still be growing. Out: the page, served to this machine only and to look
at only, whatever the site file says of its own dashboard. Nothing there is live, and the page says
so all the time; the browser asks for what it plays, so pace, pause and place are the viewer's.
"""

from __future__ import annotations

from pathlib import Path

from rsu.config.model import SiteConfig
from rsu.config.web import WebOptions
from rsu.runtime.graph import load_map, sensors_of
from rsu.web.desk import Desk
from rsu.web.past import Past
from rsu.web.place import place_of
from rsu.web.server import DashboardServer


class ReplayPage:
    """A context: while it is open, the recording in `recorded` is shown on `address`."""

    def __init__(self, config: SiteConfig, base: Path, recorded: Path, name: str) -> None:
        """`name` says on the page what is replayed."""
        options = WebOptions(language=config.web.language if config.web else "en")
        sensors = sensors_of(config)
        self._server = DashboardServer(
            options,
            base,
            Desk(place_of(config, load_map(config, base)), sensors),
            Past(recorded, sensors, ring_ns=None),
            replay=name,
        )

    @property
    def address(self) -> str:
        return self._server.address

    def __enter__(self) -> ReplayPage:
        try:
            self._server.start()
        except OSError:  # taken, perhaps by a unit's own dashboard
            self._server.port = 0
            self._server.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.stop()
