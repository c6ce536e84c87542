"""Where models live and how a name becomes a pair of files: the ONNX model and its card.

A model is `NAME.onnx` with `NAME.yaml` beside it. Folders, first wins: `models/` beside the site
file, `models/` beside the site file's folder (sites kept in `configs/`), `models/` in the working
folder, then the user's own (`$RSU_MODELS`, else `$XDG_DATA_HOME/rsu/models`, else
`~/.local/share/rsu/models`). A project may ship a card without its model, since weights have
licences of their own; such a card is skipped when a later folder holds both files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rsu.perception.card import ModelCard, load_card
from rsu.perception.errors import ModelError


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """One model's two files; either may be missing while a person is still setting it up."""

    name: str
    onnx: Path
    card: Path

    @property
    def complete(self) -> bool:
        return self.onnx.is_file() and self.card.is_file()


def user_folder() -> Path:
    """The user's own folder of models; it need not exist yet."""
    if named := os.environ.get("RSU_MODELS"):
        return Path(named).expanduser()
    data = os.environ.get("XDG_DATA_HOME")
    home = Path(data).expanduser() if data else Path.home() / ".local" / "share"
    return home / "rsu" / "models"


def model_folders(base: Path) -> tuple[Path, ...]:
    """Existing folders in the order they are searched; `base` is the site file's folder."""
    base = base.resolve()
    wanted = (base / "models", base.parent / "models", Path.cwd() / "models", user_folder())
    return tuple(dict.fromkeys(folder.resolve() for folder in wanted if folder.is_dir()))


def list_models(base: Path) -> Iterator[ModelFiles]:
    """Every model or lone card, in search order; a later one of the same name is hidden only by a
    complete earlier one."""
    hidden: set[str] = set()
    for folder in model_folders(base):
        stems = {p.stem for p in folder.iterdir() if p.suffix in {".onnx", ".yaml"} and p.is_file()}
        for name in sorted(stems - hidden):
            files = ModelFiles(name, folder / f"{name}.onnx", folder / f"{name}.yaml")
            if files.complete:
                hidden.add(name)
            yield files


def find_model(model: str, base: Path) -> ModelFiles:
    """The files of a model given by name or by path to its .onnx; raises ModelError.

    A relative path is relative to `base`, the site file's folder.
    """
    if model.endswith(".onnx") or "/" in model:
        onnx = (base / Path(model).expanduser()).resolve()
        files = ModelFiles(onnx.stem, onnx, onnx.with_suffix(".yaml"))
        if not files.onnx.is_file():
            raise ModelError(f"no model file {files.onnx}", "check the path in the site file")
        if not files.card.is_file():
            raise ModelError(
                f"{files.onnx.name} has no card {files.card}",
                f"write one, or let `rsu models add {files.onnx}` make it",
            )
        return files
    found = [files for files in list_models(base) if files.name == model]
    for files in found:
        if files.complete:
            return files
    searched = ", ".join(str(folder) for folder in model_folders(base)) or "no folder exists yet"
    for files in found:
        if files.card.is_file():
            raise ModelError(
                f"model {model!r}: card {files.card} is here, but its file {files.onnx.name} is "
                f"nowhere (searched: {searched})",
                f"obtain {files.onnx.name} and run `rsu models add {files.onnx.name}`",
            )
        raise ModelError(
            f"model {model!r}: {files.onnx} has no card",
            f"run `rsu models add {files.onnx}`",
        )
    raise ModelError(
        f"no model named {model!r} (searched: {searched})",
        "see `rsu models list`, or add one with `rsu models add FILE.onnx --head HEAD`",
    )


def card_for_digest(digest: str, base: Path) -> ModelCard | None:
    """A known card that was written for exactly this file (sha256), if any."""
    for files in list_models(base):
        if files.card.is_file():
            try:
                card = load_card(files.card)
            except ModelError:
                continue  # a broken card of another model must not block adding this one
            if card.sha256 == digest:
                return card
    return None
