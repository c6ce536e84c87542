"""Which software slot is used: one that is new is on trial until it has proved itself.

In: a folder with slots `a` and `b`, links `current`, `previous` and `next` (what was staged), and
`on-trial` while `current` has not yet lasted. Out: the links, changed one rename at a time. Starts
are counted by what starts the unit (`rsu package settle`, run by the software that was there first:
a new one may not even import); one that does not last LASTS_S for the third time is left again.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import msgspec

from rsu.runtime.config_change import write_durably

LASTS_S = 60
"""Every process of the unit has run for this long at a stretch: then the version stays."""
STARTS = 3
"""Of five that systemd allows within 300 s (`StartLimitBurst`): one more has to work."""


class OnTrial(msgspec.Struct, frozen=True):
    """`slot` was switched to and has been started this often since."""

    slot: str
    starts: int = 0


def switch(folder: Path) -> bool:
    """Let `current` point to the slot that was staged, on trial; False where none was."""
    staged, current = folder / "next", folder / "current"
    if not staged.is_symlink():
        return False
    if current.is_symlink():
        link(folder / "previous", str(current.readlink()))
    _note(folder, OnTrial(str(staged.readlink())))
    staged.replace(current)  # one rename: there is always a whole slot
    return True


def settle(folder: Path) -> str:
    """Count a start; the slot that was left if this was one too many, else nothing."""
    trial, current = _on_trial(folder), folder / "current"
    if trial is None:
        return ""
    if not current.is_symlink() or str(current.readlink()) != trial.slot:
        keep(folder)  # a power cut came before the switch
        return ""
    if trial.starts < STARTS:
        _note(folder, OnTrial(trial.slot, trial.starts + 1))
        return ""
    previous = folder / "previous"
    if previous.is_symlink() and (folder / previous.readlink()).is_dir():
        link(current, str(previous.readlink()))
    else:
        current.unlink()  # what was installed without a package
    keep(folder)
    return trial.slot


def keep(folder: Path) -> bool:
    """The version in use has lasted; whether it was on trial."""
    with contextlib.suppress(OSError):
        (folder / "on-trial").unlink()
        return True
    return False


def link(path: Path, target: str) -> None:
    """Let a link point elsewhere, in one step."""
    scratch = path.with_name(f".{path.name}.link")
    scratch.unlink(missing_ok=True)
    scratch.symlink_to(target)
    scratch.replace(path)


def _on_trial(folder: Path) -> OnTrial | None:
    try:
        return msgspec.json.decode((folder / "on-trial").read_bytes(), type=OnTrial)
    except (OSError, msgspec.DecodeError):
        return None


def _note(folder: Path, trial: OnTrial) -> None:
    write_durably(folder / "on-trial", msgspec.json.encode(trial))
