"""`rsu package`: make, verify and install signed packages of models and software.

Flows in: files, an Ed25519 key (PEM). Flows out: a package, a verdict, or installed files. The same
code serves a platform's `package.install` (docs/commands.md).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from rsu.runtime.packages import Manifest

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_KEYS = click.option(
    "--key", "keys", multiple=True, required=True, metavar="ID=FILE",
    help="Public key (PEM) that may have signed it; repeatable.",
)  # fmt: skip
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def package() -> None:
    """Make, verify and install signed packages.

    \b
    Keys are Ed25519 in PEM:
      openssl genpkey -algorithm ed25519 -out ops.key
      openssl pkey -in ops.key -pubout -out ops.pem
    """


@package.command(
    epilog="Example: rsu package make north.zip mine.onnx mine.yaml --name detectors "
    "--version 3 --key ops=ops.key"
)
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.option("--name", required=True, help="What it is an update of.")
@click.option("--version", required=True, help="Digits and dots; only newer ones are installed.")
@click.option("--key", required=True, metavar="ID=FILE", help="Private key (PEM) to sign with.")
@_JSON
def make(
    target: Path, files: tuple[Path, ...], name: str, version: str, key: str, as_json: bool
) -> None:
    """Pack models (NAME.onnx with NAME.yaml) or one wheel into TARGET, and sign it."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    from rsu.runtime import packages

    key_id, path = _named(key)
    try:
        private = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise packages.PackageError("bad_key", f"{path}: {error}") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise packages.PackageError("bad_key", f"{path} is no Ed25519 key")
    made = packages.make(target, files, name=name, version=version, key_id=key_id, key=private)
    _tell(made, "made", as_json)


@package.command(epilog="Example: rsu package verify north.zip --key ops=ops.pem")
@click.argument("file", type=_FILE)
@_KEYS
@_JSON
def verify(file: Path, keys: tuple[str, ...], as_json: bool) -> None:
    """Check signature, members and digests of FILE; exit code 2 says that it is not good."""
    from rsu.runtime import packages

    _tell(packages.verify(file, _public(keys)), "good", as_json)


@package.command(epilog="Example: rsu package install north.zip --key ops=ops.pem")
@click.argument("file", type=_FILE)
@_KEYS
@click.option(
    "--software", type=click.Path(path_type=Path), default=Path("/var/lib/rsu/software"),
    show_default=True, help="Folder of the software slots.",
)  # fmt: skip
@_JSON
def install(file: Path, keys: tuple[str, ...], software: Path, as_json: bool) -> None:
    """Verify FILE and install it: models at once, software for the next restart."""
    from rsu.perception.registry import user_folder
    from rsu.runtime import packages

    places = packages.Places(user_folder(), software)
    _tell(packages.install(file, _public(keys), places), "installed", as_json)


@package.command(epilog="Example: rsu package settle /var/lib/rsu/software")
@click.argument("folder", type=click.Path(path_type=Path))
def settle(folder: Path) -> None:
    """Before a start: leave software on trial that has not lasted in three starts.

    For service managers (systemd/rsu.service), to be run by the software that was there first.
    """
    from rsu.runtime.software_slots import STARTS, settle

    left = settle(folder)
    if left:
        click.echo(f"software slot {left} left after {STARTS} starts that did not last", err=True)


def _named(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise click.BadParameter(f"{text!r}: write it as ID=FILE")
    return name, Path(path)


def _public(texts: tuple[str, ...]) -> dict[str, Ed25519PublicKey]:
    from rsu.config.commands import CommandKey, CommandOptions
    from rsu.runtime.packages import PackageError
    from rsu.uplink.commands.gate import load_keys

    named = dict(_named(text) for text in texts)
    options = CommandOptions(keys=tuple(CommandKey(id=k, file=v) for k, v in named.items()))
    known, problems = load_keys(options, Path())
    if problems:
        raise PackageError("bad_key", "; ".join(problems))
    return {name: key.public for name, key in known.items()}


def _tell(manifest: Manifest, verdict: str, as_json: bool) -> None:
    if as_json:
        import msgspec

        answer = {"ok": True, "verdict": verdict, "manifest": msgspec.to_builtins(manifest)}
        click.echo(json.dumps(answer))
        return
    click.echo(f"{verdict}: {manifest.name} {manifest.version} ({manifest.kind}), "
               f"signed by {manifest.key}")  # fmt: skip
    for file in manifest.files:
        click.echo(f"  {file.path}  {file.size} octets  {file.sha256}")
