"""`rsu run`: the daemon."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click


@click.command(
    epilog="Example: rsu run configs/parking-aisle.yaml --duration 60",
)
@click.argument("site", type=click.Path(path_type=Path))
@click.option("--duration", type=click.FloatRange(min=0.1), help="Stop after this many seconds.")
@click.option(
    "--stop-when-ended", is_flag=True, help="Stop when every recorded source has been played."
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
)
def run(site: Path, duration: float | None, stop_when_ended: bool, log_level: str) -> int:
    """Run the unit that SITE describes until SIGTERM or Ctrl-C.

    A missing sensor or broker degrades the unit, it does not stop it; `rsu status` tells.
    """
    import os

    from rsu.cli.site_file import usable_site
    from rsu.runtime.log import configure_logging
    from rsu.runtime.process_host import ProcessHost, all_recorded_sources_ended
    from rsu.runtime.status import Overview

    config = usable_site(site)
    os.environ["RSU_LOG_LEVEL"] = log_level
    configure_logging(log_level, process="supervisor")
    host = ProcessHost(config, site.parent)
    deadline = None if duration is None else time.monotonic() + duration

    def until(overview: Overview) -> bool:
        over = deadline is not None and time.monotonic() >= deadline
        return over or (stop_when_ended and all_recorded_sources_ended(overview))

    killed = host.run(until=until)
    if sys.stdout.isatty():
        from rsu.cli.status import print_status

        print_status(host.overview.as_json())
    return 4 if killed else 0
