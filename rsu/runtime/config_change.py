"""A site file that is changed from afar: put in place, tried, kept or taken back.

In: a checked new file beside the site file. Out: the site file, its predecessor as
`<name>.previous`, and while the change is on trial `<name>.trial`, which says what is being tried.
Every step is durable and in an order that leaves a usable site file whenever the power goes; a
start that finds a trial which did not get ready takes the change back.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A change on trial. `started`: a unit has been started with it; `taken_back`: why the old file
    is in place again, which the platform has still to be told."""

    change: str
    confirm_s: float
    started: bool = False
    taken_back: str = ""
    detail: str = ""


def staged_path(site_file: Path) -> Path:
    """Where the new file is written and checked: there relative paths mean the same."""
    return site_file.with_name(site_file.name + ".new")


def previous_path(site_file: Path) -> Path:
    """The file before the last change."""
    return site_file.with_name(site_file.name + ".previous")


def begin(site_file: Path, staged: Path, trial: Trial) -> None:
    """Put the staged file in place, on trial. Raises OSError; then nothing has changed."""
    write_durably(previous_path(site_file), site_file.read_bytes(), like=site_file)
    staged.chmod(site_file.stat().st_mode & 0o777)
    _write_trial(site_file, trial)
    try:
        staged.replace(site_file)
        _sync_folder(site_file.parent)
    except OSError:
        _trial_path(site_file).unlink(missing_ok=True)
        raise


def keep(site_file: Path) -> None:
    """The change stays. Raises OSError."""
    _trial_path(site_file).unlink(missing_ok=True)
    _sync_folder(site_file.parent)


def take_back(site_file: Path, reason: str, detail: str = "") -> None:
    """Restore the previous file and note why. Raises OSError."""
    trial = read_trial(site_file)
    write_durably(site_file, previous_path(site_file).read_bytes())
    if trial is not None:
        _write_trial(
            site_file, msgspec.structs.replace(trial, taken_back=reason, detail=detail[:300])
        )


def at_start(site_file: Path) -> Trial | None:
    """To be called before the site file is read: what is on trial, or has just been taken back.

    A trial that was started before without being kept ended in a crash or a power cut: it is taken
    back here. Never raises for what lies there; a trial that cannot be read is none.
    """
    try:
        trial = read_trial(site_file)
        if trial is None or trial.taken_back:
            return trial
        if trial.started:
            take_back(site_file, "ended_before_confirmation")
        else:
            _write_trial(site_file, msgspec.structs.replace(trial, started=True))
        return read_trial(site_file)
    except OSError:
        return None


def read_trial(site_file: Path) -> Trial | None:
    """What is on trial; None for nothing."""
    try:
        return msgspec.json.decode(_trial_path(site_file).read_bytes(), type=Trial)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def write_durably(path: Path, content: bytes, *, like: Path | None = None) -> None:
    """Replace a file so that either the old or the new content survives a power cut; its access
    rights are those of `like`, else those it had."""
    model = like or path
    scratch = path.with_name(f".{path.name}.writing")
    with scratch.open("wb") as file:
        if model.exists():
            os.fchmod(file.fileno(), model.stat().st_mode & 0o777)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
    _sync_folder(path.parent)


def _trial_path(site_file: Path) -> Path:
    return site_file.with_name(site_file.name + ".trial")


def _write_trial(site_file: Path, trial: Trial) -> None:
    write_durably(_trial_path(site_file), msgspec.json.encode(trial))


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
