"""`rsu run`: the daemon."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rsu.config.model import SiteConfig
    from rsu.runtime.config_change import Trial


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
    help="[default: runtime.log_level of the site file]",
)
def run(site: Path, duration: float | None, stop_when_ended: bool, log_level: str | None) -> int:
    """Run the unit that SITE describes until SIGTERM or Ctrl-C. SIGHUP: take SITE in again.

    A missing sensor or broker degrades the unit, it does not stop it; `rsu status` tells.
    """
    import gc
    import os
    import signal

    gc.disable()  # until everything is imported: what is, stays
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until the unit can take its file in again

    # Read by numpy's linear algebra when it is loaded. Our matrices are 4×4: its threads cost
    # memory in every process and save nothing.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

    from rsu.runtime.graph import process_plans
    from rsu.runtime.log import LOG_FOLDER, configure_logging
    from rsu.runtime.nursery import open_nursery
    from rsu.runtime.process_host import ProcessHost, all_recorded_sources_ended
    from rsu.runtime.status import Overview

    config, trial = _site_on_trial(site)
    log_level = log_level or config.runtime.log_level
    os.environ["RSU_LOG_LEVEL"] = log_level
    os.environ["RSU_SITE_FILE"] = str(site.resolve())  # the dashboard shows and changes it
    if config.runtime.log_folder is not None:
        os.environ[LOG_FOLDER] = str((site.parent / config.runtime.log_folder).resolve())
    configure_logging(log_level, process="supervisor")
    host = ProcessHost(
        config, site.parent, open_nursery(config, site.parent, process_plans(config))
    )
    host.of_file(site, trial)
    deadline = None if duration is None else time.monotonic() + duration

    def until(overview: Overview) -> bool:
        over = deadline is not None and time.monotonic() >= deadline
        return over or (stop_when_ended and all_recorded_sources_ended(overview))

    gc.freeze()
    gc.enable()
    killed = host.run(until=until)
    if host.again:
        config = host.config
        if config.uplink is not None:
            from rsu.runtime import software_slots

            software_slots.switch(site.parent / config.uplink.commands.software)
        # In place of this program, so that a service manager sees no other process.
        sys.stdout.flush()
        sys.stderr.flush()
        os.execv(sys.executable, [sys.executable, "-m", "rsu.cli", *sys.argv[1:]])  # noqa: S606 - ours
    if sys.stdout.isatty():
        from rsu.cli.status import print_status

        print_status(host.overview.as_json())
    return 4 if killed else 0


def _site_on_trial(site: Path) -> tuple[SiteConfig, Trial | None]:
    """The site file; one that is on trial and cannot be used is replaced by its predecessor."""
    from rsu.cli.site_file import usable_site
    from rsu.config.problems import ConfigError
    from rsu.runtime import config_change

    trial = config_change.at_start(site)
    try:
        return usable_site(site), trial
    except ConfigError as error:
        if trial is None or trial.taken_back:
            raise
        config_change.take_back(site, "not_usable", str(error))
        return usable_site(site), config_change.read_trial(site)
