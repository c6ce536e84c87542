"""`rsu score`: how good a recorded run was, held against the truth in it."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command(epilog="Example: rsu sim --out run.mcap && rsu score run.mcap --html run.html")
@click.argument("recording", type=click.Path(path_type=Path))
@click.option(
    "--site", "site_path", type=click.Path(path_type=Path),
    help="Site file, for the views of its sensors [default: the one in the recording] and for its "
    "map, without which traffic is not judged.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One object, numbers by dotted name.")
@click.option("--html", "html", type=click.Path(path_type=Path), help="Write a page with plots.")
def score(recording: Path, site_path: Path | None, as_json: bool, html: Path | None) -> int:
    """Score RECORDING (of `rsu sim --out`) against the truth in it: detection, tracking, errors,
    consistency, events, lights, bays, message rates and ages. docs/score.md says what each number
    means."""
    from rsu.config.load import load_site
    from rsu.recording.info import site_of
    from rsu.runtime.graph import load_map
    from rsu.sim.score import score as scoring
    from rsu.sim.score.report import page
    from rsu.sim.score.text import as_text

    if not recording.exists():
        raise click.UsageError(f"{recording} does not exist")
    site_map = None
    config = load_site(site_path) if site_path else site_of(recording)
    if site_path and config is not None:
        site_map = load_map(config, site_path.parent)
    found = scoring.score_recording(recording, config, site_map)
    if config is None:
        click.echo(f"no usable site in the recording (see --site): {found.counted}", err=True)
    for remark in found.remarks:
        click.echo(f"rsu: scored as far as it is whole: {remark}", err=True)
    if html is not None:
        try:
            html.write_text(page(found), encoding="utf-8")
        except OSError as error:
            raise click.UsageError(f"cannot write {html}: {error.strerror}") from error
    if as_json:
        click.echo(json.dumps(found.to_json(), ensure_ascii=False, allow_nan=False))
    else:
        click.echo(as_text(found))
    return 0
