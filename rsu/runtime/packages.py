"""Signed packages of models and software: made, verified, installed (docs/commands.md).

A package is a zip file: `manifest.json` names every other member with its SHA-256 and size,
`manifest.sig` holds an Ed25519 signature over the manifest. In: files, keys. Out: model files in
the models folder, their predecessors beside them as `.previous`; software in the slot (`a` or `b`)
that is not in use, to which `current` points after the next restart, on trial
(`rsu.runtime.software_slots`). Nothing is taken from a
package before all of it has been verified; what is not newer than what was installed is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from rsu.runtime.software_slots import link
from rsu.uplink.commands.envelope import canonical

SCHEMA = "rsu.package/1"
SIGNED_PREFIX = b"rsu.package/1\n"
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
MAX_MANIFEST_BYTES = 262_144
MAX_FILES = 4096
MAX_BYTES = 1_000_000_000
"""Unpacked: ten of the largest detectors; a zip that unfolds into more is an attack."""
TRY_S = 120.0
"""For one model: the largest load in 5 s; a busy machine is slower."""
INSTALLED = ".packages.json"
"""In the models and software folders: name → version of what was installed last."""
_VERSION = re.compile(r"\d{1,9}(\.\d{1,9}){0,3}")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+/-]{0,199}")
_MODEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}\.(onnx|yaml)")

_DAMAGED = (
    zipfile.BadZipFile, zlib.error, struct.error, OSError, EOFError, ValueError, RuntimeError,
    KeyError,
)  # fmt: skip
"""What zipfile raises for files that are no good (NotImplementedError is a RuntimeError)."""


class PackageError(Exception):
    """A package that is not installed; `reason` is a stable code."""

    exit_code = 2

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason, self.detail = reason, detail


class PackedFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    path: str
    sha256: str
    size: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is in a package and who says so."""

    schema: Literal["rsu.package/1"]
    name: str
    version: str
    kind: Literal["models", "software"]
    key: str
    files: tuple[PackedFile, ...]


@dataclass(frozen=True, slots=True)
class Places:
    """Where packages are installed."""

    models: Path
    software: Path

    def of(self, kind: str) -> Path:
        return self.models if kind == "models" else self.software


def make(
    target: Path, files: Sequence[Path], *, name: str, version: str, key_id: str,
    key: Ed25519PrivateKey,
) -> Manifest:  # fmt: skip
    """Write a package of models (.onnx with its .yaml) or of one wheel; raises PackageError."""
    wheels = [path for path in files if path.suffix == ".whl"]
    if wheels and len(files) > 1:
        raise PackageError("bad_content", "a wheel is packed alone")
    contents = {path.name: path.read_bytes() for path in files}
    manifest = Manifest(
        schema="rsu.package/1", name=name, version=version, key=key_id,
        kind="software" if wheels else "models",
        files=tuple(
            PackedFile(n, hashlib.sha256(c).hexdigest(), len(c))
            for n, c in sorted(contents.items())
        ),
    )  # fmt: skip
    _check_manifest(manifest)
    plain = msgspec.to_builtins(manifest)
    signature = base64.b64encode(key.sign(SIGNED_PREFIX + canonical(plain)))
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr(MANIFEST, json.dumps(plain, indent=1))
        package.writestr(SIGNATURE, signature)
        for member, content in sorted(contents.items()):
            package.writestr(member, content)
    return manifest


def verify(path: Path, keys: Mapping[str, Ed25519PublicKey]) -> Manifest:
    """Everything that can be said without installing it; raises PackageError."""
    try:
        with zipfile.ZipFile(path) as package:
            manifest = _authentic(package, keys)
            _check_members(package, manifest)
            for file in manifest.files:
                _copy(package, file, None)
    except _DAMAGED as error:
        raise PackageError("damaged", str(error)[:200]) from None
    return manifest


def install(path: Path, keys: Mapping[str, Ed25519PublicKey], places: Places) -> Manifest:
    """Verify, unpack beside the target, try models, then put in place; raises PackageError."""
    manifest = verify(path, keys)
    folder = places.of(manifest.kind)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        installed = _installed(folder)
        known = installed.get(manifest.name)
        if known is not None and _number(manifest.version) <= _number(known):
            raise PackageError("downgrade", f"{manifest.name} {known} is installed")
        with tempfile.TemporaryDirectory(dir=folder, prefix=".installing-") as scratch:
            with zipfile.ZipFile(path) as package:
                for file in manifest.files:  # verified again as it is copied: no gap in between
                    _copy(package, file, Path(scratch, file.path))
            if manifest.kind == "models":
                _place_models(folder, Path(scratch), manifest)
            else:
                _stage_software(folder, Path(scratch, manifest.files[0].path))
        _write(folder / INSTALLED, json.dumps(installed | {manifest.name: manifest.version}))
    except _DAMAGED as error:
        raise PackageError("not_installed", str(error)[:200]) from None
    return manifest


def _authentic(package: zipfile.ZipFile, keys: Mapping[str, Ed25519PublicKey]) -> Manifest:
    for member in (MANIFEST, SIGNATURE):
        if member not in package.namelist():
            raise PackageError("unsigned", f"no {member}")
        if package.getinfo(member).file_size > MAX_MANIFEST_BYTES:
            raise PackageError("damaged", f"{member} is too long")
    try:
        plain: Any = json.loads(package.read(MANIFEST))
        manifest = msgspec.convert(plain, Manifest)
        octets = SIGNED_PREFIX + canonical(plain)
        signature = base64.b64decode(package.read(SIGNATURE), validate=True)
    except (ValueError, RecursionError, binascii.Error) as error:
        raise PackageError("damaged", f"{MANIFEST}: {error}"[:200]) from None
    key = keys.get(manifest.key)
    if key is None:
        raise PackageError("unknown_key", manifest.key[:32])
    try:
        key.verify(signature, octets)
    except InvalidSignature:
        raise PackageError("bad_signature") from None
    _check_manifest(manifest)
    return manifest


def _check_manifest(manifest: Manifest) -> None:
    if not _NAME.fullmatch(manifest.name) or not _VERSION.fullmatch(manifest.version):
        raise PackageError("bad_content", "name or version")
    names = [file.path for file in manifest.files]
    if not names or len(names) > MAX_FILES or len(set(names)) != len(names):
        raise PackageError("bad_content", "no files, too many, or one twice")
    if sum(file.size for file in manifest.files) > MAX_BYTES:
        raise PackageError("bad_content", "too large")
    if manifest.kind == "software":
        good = len(names) == 1 and names[0].endswith(".whl") and "/" not in names[0]
    else:
        stems = {Path(name).stem for name in names}
        pairs = {f"{stem}{suffix}" for stem in stems for suffix in (".onnx", ".yaml")}
        good = all(_MODEL.fullmatch(name) for name in names) and pairs == set(names)
    if not good or not all(_PATH.fullmatch(name) for name in names):
        raise PackageError("bad_content", "models are NAME.onnx with NAME.yaml, software one wheel")


def _check_members(package: zipfile.ZipFile, manifest: Manifest) -> None:
    expected = sorted([MANIFEST, SIGNATURE, *(file.path for file in manifest.files)])
    if sorted(package.namelist()) != expected:
        raise PackageError("modified", "its members are not those of the manifest")
    usual = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
    if any(info.compress_type not in usual for info in package.infolist()):
        raise PackageError("damaged", "compressed in a way that we do not read")


def _copy(package: zipfile.ZipFile, file: PackedFile, target: Path | None) -> None:
    """Read one member to its end, in bounded steps, and compare; write it where wanted."""
    digest, size = hashlib.sha256(), 0
    out = None if target is None else target.open("wb")
    try:
        with package.open(file.path) as member:
            while chunk := member.read(1 << 20):
                size += len(chunk)
                if size > file.size:
                    break
                digest.update(chunk)
                if out is not None:
                    out.write(chunk)
        if size != file.size or digest.hexdigest() != file.sha256:
            raise PackageError("modified", file.path)
        if out is not None:
            out.flush()
            os.fsync(out.fileno())
    finally:
        if out is not None:
            out.close()


def _place_models(folder: Path, scratch: Path, manifest: Manifest) -> None:
    from rsu.perception.card import load_card
    from rsu.perception.errors import ModelError

    digests = {file.path: file.sha256 for file in manifest.files}
    names = sorted({Path(name).stem for name in digests})
    for name in names:  # all of them first: either all are fit to be put in place or none is
        try:
            card = load_card(scratch / f"{name}.yaml")
        except ModelError as error:
            raise PackageError("bad_content", str(error)[:200]) from None
        if card.sha256 != digests[f"{name}.onnx"]:
            raise PackageError("bad_content", f"the card of {name} is of another model")
    for name in names:
        trouble = trouble_with(scratch / f"{name}.onnx")
        if trouble:
            raise PackageError("does_not_run", f"{name}: {trouble}"[:200])
    for name in names:
        for suffix in (".onnx", ".yaml"):
            target = folder / f"{name}{suffix}"
            if target.exists():
                kept = target.with_name(target.name + ".previous")
                kept.unlink(missing_ok=True)
                os.link(target, kept)
            (scratch / target.name).replace(target)


def trouble_with(model: Path) -> str:
    """Load and run a model once, in a process of its own that it may bring down; "" if it works."""
    command = [sys.executable, "-m", "rsu.cli", "models", "check", str(model)]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=TRY_S,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"not loaded within {TRY_S:g} s"
    if done.returncode == 0:
        return ""
    return done.stderr.strip().partition("\n")[0] or f"exit code {done.returncode}"


def _stage_software(folder: Path, wheel: Path) -> None:
    """Unpack a wheel of pure Python into the slot that is not in use."""
    current = folder / "current"
    used = str(current.readlink()) if current.is_symlink() else ""
    slot = "b" if used == "a" else "a"
    with zipfile.ZipFile(wheel) as content:
        bad = [n for n in content.namelist() if n.startswith("/") or ".." in Path(n).parts]
        if bad or sum(info.file_size for info in content.infolist()) > MAX_BYTES:
            raise PackageError("bad_content", "paths outside the wheel, or too much in it")
        (folder / "next").unlink(missing_ok=True)  # not while its slot is half written
        shutil.rmtree(folder / slot, ignore_errors=True)
        content.extractall(folder / slot)
    link(folder / "next", slot)


def _installed(folder: Path) -> dict[str, str]:
    try:
        found = json.loads((folder / INSTALLED).read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise PackageError("not_installed", f"{folder / INSTALLED} is damaged") from None
    return {str(k): v for k, v in found.items() if _VERSION.fullmatch(str(v))}


def _number(version: str) -> tuple[int, ...]:
    numbers = [int(part) for part in version.split(".")]
    return tuple(numbers + [0] * (4 - len(numbers)))


def _write(path: Path, text: str) -> None:
    from rsu.runtime.config_change import write_durably

    write_durably(path, text.encode())
