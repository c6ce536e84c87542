"""`rsu score`: how good a recorded run was, held against the truth in it."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(epilog="Example: rsu sim --out run.mcap && rsu score run.mcap --html run.html")
@click.argument("recording", type=click.Path(path_type=Path))
@click.option(
    "--site", "site_path", type=click.Path(path_type=Path),
    help="Site file, for the views of its cameras. [default: the one in the recording]",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One object, numbers by dotted name.")
@click.option("--html", "html", type=click.Path(path_type=Path), help="Write a page with plots.")
def score(recording: Path, site_path: Path | None, as_json: bool, html: Path | None) -> int:
    """Score RECORDING (of `rsu sim --out`): detection, tracking, errors, consistency, events,
    lights, message rates and ages. docs/score.md says what each number means."""
    from rsu.config.load import load_site
    from rsu.sim.score import score as scoring
    from rsu.sim.score.report import page

    if not recording.exists():
        raise click.UsageError(f"{recording} does not exist")
    config = load_site(site_path) if site_path else scoring.site_of(recording)
    if config is None:
        click.echo("no site in the recording: truth within 80 m counts (see --site)", err=True)
    found = scoring.score_recording(recording, config)
    if html is not None:
        html.write_text(page(found), encoding="utf-8")
    click.echo(scoring.as_json(found) if as_json else scoring.as_text(found))
    return 0
