"""`rsu replay`: the same pipeline over a recording, a video or an image folder, in lock-step."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

import rsu
from rsu.schema.message import Message
from rsu.schema.topics import CAMERA_DETECTIONS, TRACKS, V2X_TX
from rsu.schema.units import NS_PER_S

if TYPE_CHECKING:
    from rsu.config.model import SiteConfig

EXIT_DIFFERS = 1
SOURCE_PATH = re.compile(r"cameras\[\d+\]\.source\.path$")


class Tally:
    """Counts what a replay produced, and hashes the V2X bytes so that runs can be compared."""

    def __init__(self) -> None:
        self.frames = 0
        self.tracks: Counter[int] = Counter()
        self.v2x: Counter[str] = Counter()
        self.digest = hashlib.sha256()
        self.first_ns: int | None = None
        self.last_ns = 0

    def take(self, message: Message) -> None:
        """Take one message of the run."""
        if self.first_ns is None:
            self.first_ns = message.header.publish_ns
        self.last_ns = max(self.last_ns, message.header.publish_ns)
        if message.topic == CAMERA_DETECTIONS:
            self.frames += 1
        elif message.topic == TRACKS:
            self.tracks.update(track.id for track in message.payload.tracks)
        elif message.topic == V2X_TX:
            self.v2x[message.payload.name] += 1
            self.digest.update(message.payload.payload)

    @property
    def seconds(self) -> float:
        """Length of the run in virtual time, s."""
        return 0.0 if self.first_ns is None else (self.last_ns - self.first_ns) / NS_PER_S


@click.command(
    epilog="Example: rsu replay clip.mp4 --site configs/parking-aisle.yaml --out out.mcap"
)
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--site", "site_path", required=True, type=click.Path(path_type=Path))
@click.option("--camera", help="Camera that SOURCE replaces, where the site has several.")
@click.option(
    "--rate", type=click.FloatRange(min=0), default=0.0, show_default=True,
    help="0: as fast as possible; 1: as it went.",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help="Record the run here (.mcap).")
@click.option(
    "--golden", type=click.Path(path_type=Path), help="Compare the V2X frames with this recording."
)
@click.option(
    "--web",
    is_flag=True,
    help="Show the run on a page in the browser, at its own pace; until Ctrl-C.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as one JSON object.")
def replay(
    source: Path,
    site_path: Path,
    camera: str | None,
    rate: float,
    out: Path | None,
    golden: Path | None,
    web: bool,
    as_json: bool,
) -> int:
    """Run the pipeline of a site over SOURCE: an .mcap (or a folder of them), a video, or a folder
    of images. Deterministic: the same source and site give the same V2X bytes.

    With --golden the exit code is 1 when any V2X frame differs.

    With --web the page of the dashboard plays what the pipeline makes of SOURCE: pause, any moment,
    half to ten times the speed. It is served to this machine only and changes nothing.
    """
    _refuse_overwriting(source, out, golden)
    if not source.exists():
        raise click.UsageError(f"{source} does not exist")
    recorded = _is_recording(source)
    config = _site(site_path)
    if not recorded:
        config = _with_source(config, source, camera)
    with ExitStack() as opened:
        scratch = out
        if scratch is None and (golden is not None or web):
            folder = opened.enter_context(TemporaryDirectory(prefix="rsu-replay-"))
            scratch = Path(folder) / "replayed.mcap"
        if web and scratch is not None:
            _show(config, site_path.parent, scratch, source, opened)
        tally = Tally()
        began = time.monotonic()
        exact = _run_into(scratch, tally, config, site_path, source, recorded, rate)
        _summarise(tally, time.monotonic() - began, exact, out, as_json=as_json)
        code = 0
        if golden is not None and scratch is not None:
            code = _compare(golden, scratch, as_json=as_json)
        if web:
            _until_stopped()
    return code


def _show(config: SiteConfig, base: Path, shown: Path, source: Path, opened: ExitStack) -> None:
    """The page of a run that is about to be written to `shown`."""
    from rsu.web.replay import ReplayPage

    shown.unlink(missing_ok=True)  # an earlier run is not what is about to be shown
    page = opened.enter_context(ReplayPage(config, base, shown, source.name))
    click.echo(f"replay of {source} on {page.address}  Ctrl-C ends it", err=True)


def _until_stopped() -> None:
    """Return at Ctrl-C or SIGTERM."""
    stopped = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {n: signal.signal(n, lambda *_: stopped.set()) for n in numbers}
    try:
        while not stopped.wait(1.0):  # the handler runs between two waits
            pass
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _compare(golden: Path, made: Path, *, as_json: bool) -> int:
    """The exit code: whether both recordings hold the same V2X frames."""
    from rsu.recording.golden import compare_recordings

    comparison = compare_recordings(golden, made)
    click.echo(comparison.describe(), err=as_json)
    return 0 if comparison.equal else EXIT_DIFFERS


def _run_into(
    target: Path | None,
    tally: Tally,
    config: SiteConfig,
    site_path: Path,
    source: Path,
    recorded: bool,
    rate: float,
) -> str:
    """The run, recorded in `target`; says how exact it was."""
    from rsu.recording.writer import McapFile

    if target is None:
        return _run(config, site_path.parent, source, recorded, rate, tally.take)
    with McapFile(target, _metadata(config, site_path), overwrite=True) as file:

        def keep(message: Message) -> None:
            tally.take(message)
            if message.topic.recorded:
                file.write(message)

        return _run(config, site_path.parent, source, recorded, rate, keep)


def _run(
    config: SiteConfig,
    base: Path,
    source: Path,
    recorded: bool,
    rate: float,
    sink: Callable[[Message], None],
) -> str:
    from rsu.runtime import replay as runtime

    with _progress() as advance:
        if not recorded:
            remarks = runtime.replay_cameras(
                config, base, sink, rate=rate, on_frame=lambda frame: advance(frame.capture_ns)
            )
            ended = "; ".join(f"{name}: {remark}" for name, remark in remarks.items() if remark)
            return ended or "every frame"
        return _run_recording(config, base, source, rate, sink, advance)


def _run_recording(
    config: SiteConfig,
    base: Path,
    source: Path,
    rate: float,
    sink: Callable[[Message], None],
    advance: Callable[[int], None],
) -> str:
    """Replay a recording, a damaged one as far as it is whole; says how exact that was."""
    from rsu.recording.errors import DamagedRecordingError
    from rsu.recording.reader import has_journal, read_messages
    from rsu.runtime import replay as runtime

    damage: list[str] = []

    def messages() -> Iterator[Message]:
        try:
            # As the recorder received them: a journal entry follows the inputs it names.
            for message in read_messages(source, order="written", allow_unfinished=True):
                advance(message.header.publish_ns)
                yield message
        except DamagedRecordingError as error:
            damage.append(f"; {error}")

    if not has_journal(source):
        runtime.replay_inputs(config, base, messages(), sink, rate=rate)
        return "no journal: inputs in publishing order" + "".join(damage)
    result = runtime.replay_recording(config, base, messages(), sink)
    if result.exact and not damage:
        return f"exact: {result.steps} steps of {result.starts} run(s) repeated"
    return (
        f"NOT exact: {len(result.missing)} steps lack their input, "
        f"{result.orphans} lack their start" + "".join(damage)
    )


@contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    """Shows how far virtual time has come, on a terminal; `advance(time_ns)` moves it."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _time_ns: None
        return
    columns = (
        SpinnerColumn(),
        TextColumn("replayed {task.completed:.1f} s in"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("replay", total=None)
        first: list[int] = []

        def advance(time_ns: int) -> None:
            first[1:] = [time_ns]
            progress.update(task, completed=(time_ns - first[0]) / NS_PER_S if first else 0)
            if not first:
                first.append(time_ns)

        yield advance


def _site(path: Path) -> SiteConfig:
    """The site, whose own camera sources need not be at hand: SOURCE stands in for them."""
    from rsu.cli.site_file import usable_site

    return usable_site(path, tolerated=lambda problem: bool(SOURCE_PATH.match(problem.path)))


def _is_recording(source: Path) -> bool:
    if source.is_dir():
        return any(source.glob("*.mcap"))
    return source.suffix == ".mcap"


def _with_source(config: SiteConfig, source: Path, camera_id: str | None) -> SiteConfig:
    """The site with SOURCE in place of one camera's own source, the other cameras left out."""
    names = [camera.id for camera in config.cameras]
    if not names:
        raise click.UsageError("the site has no camera that could look at SOURCE")
    if camera_id is None and len(names) > 1:
        raise click.UsageError(f"the site has several cameras: --camera {'|'.join(names)}")
    if camera_id is not None and camera_id not in names:
        raise click.UsageError(f"the site has no camera {camera_id!r}, only {', '.join(names)}")
    camera = config.cameras[names.index(camera_id) if camera_id else 0]
    driver = "images" if source.is_dir() else "file"
    settings = camera.source.model_dump()
    own = settings if settings["driver"] == driver else {}
    replaced = camera.model_copy(
        update={
            "source": type(camera)
            .model_validate(
                {
                    **camera.model_dump(exclude={"source"}),
                    "source": {**own, "driver": driver, "path": source.resolve()},
                }
            )
            .source
        }
    )
    return config.model_copy(update={"cameras": (replaced,)})


def _refuse_overwriting(source: Path, out: Path | None, golden: Path | None) -> None:
    for name, target in (("--out", out),):
        for other in (source, golden):
            if target is not None and other is not None and target.resolve() == other.resolve():
                raise click.UsageError(f"{name} {target} would overwrite an input")


def _metadata(config: SiteConfig, site_path: Path) -> dict[str, str]:
    from rsu.runtime.graph import profiles_of

    return {
        "site": config.site.id,
        "config": site_path.read_text(encoding="utf-8"),
        "profile": ",".join(profiles_of(config)),
        "version": rsu.__version__,
    }


def _summarise(tally: Tally, wall_s: float, exact: str, out: Path | None, *, as_json: bool) -> None:
    factor = tally.seconds / wall_s if wall_s > 0 else 0.0
    if as_json:
        summary = {
            "seconds": round(tally.seconds, 3),
            "wall_s": round(wall_s, 3),
            "real_time_factor": round(factor, 2),
            "camera_frames": tally.frames,
            "tracks": {str(track): count for track, count in sorted(tally.tracks.items())},
            "v2x_frames": dict(sorted(tally.v2x.items())),
            "v2x_sha256": tally.digest.hexdigest(),
            "replay": exact,
            "out": str(out) if out else None,
        }
        click.echo(json.dumps(summary, ensure_ascii=False))
        return
    frames = ", ".join(f"{count} {name}" for name, count in sorted(tally.v2x.items())) or "none"
    click.echo(
        f"replayed {tally.seconds:.1f} s in {wall_s:.1f} s (×{factor:.1f} real time), {exact}\n"
        f"  camera frames  {tally.frames}\n"
        f"  tracks         {len(tally.tracks)}\n"
        f"  V2X frames     {frames}\n"
        f"  V2X sha256     {tally.digest.hexdigest()}"
    )
    if out is not None:
        click.echo(f"  recorded in    {out}   (rsu v2x decode {out})")
