"""`rsu models`: which detector models are known, whether one is fit, and how to add one.

Flows in: ONNX files and cards from the folders of `rsu.perception.registry`. Flows out: a table or
JSON; for `add`, a model and its card in one of these folders. A model counts as added only after
it has passed its self-test.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rsu.perception.card import ModelCard
    from rsu.perception.onnx_detector import OnnxDetector
    from rsu.perception.registry import ModelFiles

_BASE = click.option(
    "--base",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Look from this folder (that of a site file); default: the working folder.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def models() -> None:
    """List, check and add detector models.

    A model is NAME.onnx with its card NAME.yaml beside it, in a `models/` folder of the project or
    in the user's own ($RSU_MODELS, else $XDG_DATA_HOME/rsu/models).
    """


@models.command("list", epilog="Example: rsu models list --json")
@_BASE
@_JSON
def list_command(base: Path, as_json: bool) -> int:
    """List every model and lone card, in the order in which names are resolved."""
    from rsu.perception.registry import list_models, user_folder

    rows = [_row(files) for files in list_models(base)]
    if as_json:
        click.echo(json.dumps(rows, ensure_ascii=False))
        return 0
    if not rows:
        click.echo(
            "no models yet; add one: rsu models add FILE.onnx --head yolox --licence SPDX-ID "
            f"(it goes to {user_folder()})"
        )
        return 0
    width = max(len(row["name"]) for row in rows)
    for row in rows:
        click.echo(f"{row['name']:{width}}  {row['state']:12}  {row['about']}  {row['folder']}")
    return 0


@models.command(
    epilog="Examples: rsu models check yolox_nano    |    rsu models check ./models/mine.onnx"
)
@click.argument("model")
@_BASE
@_JSON
def check(model: str, base: Path, as_json: bool) -> int:
    """Self-test MODEL (name or path): card, sha256, inputs, outputs, a dry run.

    Exit code 2 says that it is not fit, and why.
    """
    from rsu.perception.errors import ModelError
    from rsu.perception.registry import find_model

    try:
        files = find_model(model, base)
        detector = _self_test(files)
    except ModelError as error:
        if as_json:
            answer = {"ok": False, "problem": error.problem, "next_step": error.next_step}
            click.echo(json.dumps(answer, ensure_ascii=False))
        else:
            click.echo(f"rsu models check: {error}", err=True)
        return error.exit_code
    _report(files, detector.card, as_json, said="fit")
    return 0


@models.command(
    epilog="Examples: rsu models add yolox_nano.onnx --head yolox --licence Apache-2.0    |    "
    "rsu models add mine.onnx --card mine.yaml"
)
@click.argument("onnx", type=click.Path(path_type=Path))
@click.option("--card", "card_file", type=click.Path(path_type=Path), help="Card to use.")
@click.option(
    "--head",
    type=click.Choice(["yolox", "yolov8", "rtdetr"]),
    help="Make a card: the usual input of this family, COCO's 80 classes.",
)
@click.option("--name", help="Name to add it under; default: the card's, else the file's.")
@click.option("--licence", help="SPDX identifier of the weights' licence.")
@click.option("--project", is_flag=True, help="Into ./models instead of the user's folder.")
@click.option("--force", is_flag=True, help="Replace a model of that name.")
@_JSON
def add(
    onnx: Path,
    card_file: Path | None,
    head: str | None,
    name: str | None,
    licence: str | None,
    project: bool,
    force: bool,
    as_json: bool,
) -> int:
    """Self-test ONNX and copy it with its card into a models folder.

    The card comes from --card, from FILE.yaml beside the model, from a card that already names this
    very file by its sha256, or is made from --head.
    """
    from rsu.perception.card import card_text
    from rsu.perception.errors import ModelError
    from rsu.perception.registry import ModelFiles, user_folder

    try:
        card = _card_to_add(onnx, card_file, head, name, licence)
        folder = Path("models").resolve() if project else user_folder()
        target = ModelFiles(card.name, folder / f"{card.name}.onnx", folder / f"{card.name}.yaml")
        if target.onnx.exists() and onnx.resolve() != target.onnx.resolve() and not force:
            raise ModelError(f"{target.onnx} exists", "use --force to replace it, or --name")
        folder.mkdir(parents=True, exist_ok=True)
        # Tested where it will live, moved in place only then: a failed add leaves nothing behind.
        with tempfile.TemporaryDirectory(dir=folder, prefix=".adding-") as scratch:
            tried = ModelFiles(card.name, Path(scratch, "m.onnx"), Path(scratch, "m.yaml"))
            shutil.copyfile(onnx, tried.onnx)
            tried.card.write_text(card_text(card), encoding="utf-8")
            _self_test(tried)
            tried.onnx.replace(target.onnx)
            tried.card.replace(target.card)
    except ModelError as error:
        click.echo(f"rsu models add: {error}", err=True)
        return error.exit_code
    except OSError as error:
        click.echo(f"rsu models add: {error}", err=True)
        return 2
    _report(target, card, as_json, said="added")
    return 0


def _card_to_add(
    onnx: Path, card_file: Path | None, head: str | None, name: str | None, licence: str | None
) -> ModelCard:
    """The card for this file, its sha256 filled in; raises ModelError."""
    from rsu.perception.card import card_from, file_sha256, load_card
    from rsu.perception.errors import ModelError
    from rsu.perception.registry import card_for_digest

    digest = file_sha256(onnx)
    beside = onnx.with_suffix(".yaml")
    if card_file is None and head is None:
        card = card_for_digest(digest, Path())
        if card is None and beside.is_file():
            card = load_card(beside)
        if card is None:
            raise ModelError(
                f"{onnx} has no card", "give --card FILE, or --head and --licence to make one"
            )
    elif card_file is not None:
        card = load_card(card_file)
    else:
        if not licence:
            raise ModelError(
                "a new card needs the licence of the weights",
                "give --licence with its SPDX identifier, e.g. Apache-2.0",
            )
        assert head is not None
        values = _made_card(onnx, head, name or onnx.stem, licence, digest)
        return card_from(values, f"card made for {onnx.name}")
    changes: dict[str, Any] = {"sha256": digest}
    if name:
        changes["name"] = name
    if licence:
        changes["licence"] = licence
    if card.sha256 != digest and card_file is None:
        raise ModelError(
            f"{onnx}: sha256 {digest} is not the {card.sha256} of {beside}",
            "correct sha256 in the card if this is the model it describes",
        )
    return card_from({**card.model_dump(mode="json"), **changes}, str(card_file or beside))


# How each family is exported by its own authors: colour order, scale and place in the input.
_USUAL_INPUT: dict[str, dict[str, Any]] = {
    "yolox": {"channels": "bgr", "scale": 1.0, "letterbox": "top-left", "fill": 114},
    "yolov8": {"channels": "rgb", "scale": 1 / 255, "letterbox": "centre", "fill": 114},
    "rtdetr": {"channels": "rgb", "scale": 1 / 255, "letterbox": "stretch", "fill": 114},
}


def _made_card(onnx: Path, head: str, name: str, licence: str, digest: str) -> dict[str, Any]:
    """Values of a card from the family's habits and the model's own input."""
    from rsu.perception.coco import COCO_CLASSES, COCO_MAP
    from rsu.perception.onnx_detector import image_input

    input_name, width, height, layout = image_input(onnx)
    return {
        "name": name,
        "head": head,
        "input": {
            "name": input_name,
            "width": width,
            "height": height,
            "layout": layout,
            **_USUAL_INPUT[head],
        },
        "classes": COCO_CLASSES,
        "map": {key: value.value for key, value in COCO_MAP.items()},
        "licence": licence,
        "training_data": "COCO (assumed when the card was made)",
        "sha256": digest,
    }


def _self_test(files: ModelFiles) -> OnnxDetector:
    """Load the model as a camera would; raises ModelError."""
    from rsu.config.cameras import OnnxDetectorOptions
    from rsu.perception.onnx_detector import OnnxDetector

    options = OnnxDetectorOptions(driver="onnx", model=files.name)
    return OnnxDetector(files, options, (1920, 1080))


def _row(files: ModelFiles) -> dict[str, Any]:
    from rsu.perception.card import load_card
    from rsu.perception.errors import ModelError

    row: dict[str, Any] = {"name": files.name, "folder": str(files.onnx.parent)}
    if not files.card.is_file():
        return {**row, "state": "no card", "about": "rsu models add makes one"}
    try:
        card = load_card(files.card)
    except ModelError as error:
        return {**row, "state": "broken card", "about": error.problem.splitlines()[0]}
    return {
        **row,
        "state": "ready" if files.complete else "no file",
        "about": f"{card.head} {card.input.width}×{card.input.height}, {card.licence}",
        "head": card.head,
        "licence": card.licence,
        "sha256": card.sha256,
    }


def _report(files: ModelFiles, card: ModelCard, as_json: bool, said: str) -> None:
    if as_json:
        answer = {
            "ok": True,
            "name": card.name,
            "onnx": str(files.onnx),
            "card": str(files.card),
            "head": card.head,
            "licence": card.licence,
            "sha256": card.sha256,
        }
        click.echo(json.dumps(answer, ensure_ascii=False))
        return
    mapped = sorted({ours.value for ours in card.map.values()})
    click.echo(f"{said}: {card.name} ({card.head}, {card.input.width}×{card.input.height})")
    click.echo(f"  file     {files.onnx}")
    click.echo(f"  licence  {card.licence}")
    click.echo(f"  classes  {len(card.classes)}, of which {len(card.map)} are ours: "
               f"{', '.join(mapped)}")  # fmt: skip
