"""Backdrops kept on disk, so that what stands still is painted once per machine and not per start.

In: what a backdrop follows from, as text. Out: the backdrop, or None: a file that is missing or
damaged is painted anew. The key covers the painters' own sources, so that another version of them
never finds a picture of this one. Files lie in the user's cache (or the service's); the oldest go.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from functools import cache
from pathlib import Path

import cv2
import numpy as np

import rsu
from rsu.sim.render.backdrop import Backdrop

MOST = 12
"""Files kept, 4 MB each: six cameras under two weathers."""
_ARRAYS = ("image", "distance", "albedo", "shaded", "lamps")


def cache_folder() -> Path:
    """Where backdrops are kept: the service's cache (systemd), else the user's."""
    given = os.environ.get("CACHE_DIRECTORY", "").split(":")[0]
    user = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(given) if given else Path(user) / "rsu"


def load(folder: Path, recipe: str) -> Backdrop | None:
    """The backdrop that was painted from this recipe."""
    try:
        with _path(folder, recipe).open("rb") as file, np.load(file, allow_pickle=False) as kept:
            return Backdrop(*(kept[name] for name in _ARRAYS))
    except Exception:  # whatever is wrong with it (zipfile, zlib, numpy), it can be painted again
        return None


def keep(folder: Path, recipe: str, backdrop: Backdrop) -> None:
    """Write it down, whole or not at all; a folder that cannot be written costs the next start."""
    path = _path(folder, recipe)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with scratch.open("wb") as file:
                np.savez(file, **{name: getattr(backdrop, name) for name in _ARRAYS})
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)
        files = sorted(folder.glob("backdrop-*.npz"), key=lambda one: one.stat().st_mtime)
        for old in files[:-MOST]:
            old.unlink(missing_ok=True)


def _path(folder: Path, recipe: str) -> Path:
    digest = hashlib.sha256(f"{_painters()}\n{recipe}".encode()).hexdigest()
    return folder / f"backdrop-{digest[:40]}.npz"


@cache
def _painters() -> str:
    """What paints: our sources and the libraries below."""
    digest = hashlib.sha256(f"{np.__version__} {cv2.__version__}".encode())
    ours = Path(rsu.__file__).parent
    for folder in (ours / "sim" / "render", ours / "site", ours / "perception"):
        for source in sorted(folder.glob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()
