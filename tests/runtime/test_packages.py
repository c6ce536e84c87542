"""Packages: what is signed and whole is installed, everything else is refused with its reason."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from rsu.cli.main import run_command
from rsu.runtime import packages
from rsu.runtime.packages import (
    MANIFEST,
    SIGNATURE,
    PackageError,
    Places,
    install,
    make,
    verify,
)
from rsu.runtime.software_slots import switch

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEYS = {"ops": KEY.public_key()}


def model(folder: Path, root: Path, content: bytes = b"weights 1") -> list[Path]:
    """A model with its card; the content is no network, so that it cannot be run (`_runs`)."""
    folder.mkdir(exist_ok=True)
    card = yaml.safe_load((root / "models" / "rsu_roadside.yaml").read_text())
    card |= {"name": "mine", "sha256": hashlib.sha256(content).hexdigest()}
    onnx, text = folder / "mine.onnx", folder / "mine.yaml"
    onnx.write_bytes(content)
    text.write_text(yaml.safe_dump(card))
    return [onnx, text]


@pytest.fixture
def _runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is in a package, it runs."""
    monkeypatch.setattr(packages, "trouble_with", lambda model: "")


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "models", tmp_path / "software")


@pytest.fixture
def package(tmp_path: Path, root: Path) -> Path:
    path = tmp_path / "p.zip"
    make(path, model(tmp_path / "new", root), name="mine", version="2", key_id="ops", key=KEY)
    return path


def reason(path: Path, places: Places) -> str:
    with pytest.raises(PackageError) as error:
        install(path, KEYS, places)
    assert not [p for p in places.models.glob("*") if p.suffix in {".onnx", ".yaml"}]
    return error.value.reason


def rewrite(path: Path, **changes: bytes | None) -> None:
    """The same zip with other members; None leaves one out."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    named = {name.replace("__", "."): content for name, content in changes.items()}
    with zipfile.ZipFile(path, "w") as new:
        for name, content in (members | named).items():
            if content is not None:
                new.writestr(name, content)


@pytest.mark.usefixtures("_runs")
def test_models_are_installed_and_their_predecessors_kept(
    package: Path, places: Places, tmp_path: Path, root: Path
) -> None:
    assert verify(package, KEYS).version == "2"
    install(package, KEYS, places)
    assert (places.models / "mine.onnx").read_bytes() == b"weights 1"
    newer = tmp_path / "newer.zip"
    files = model(tmp_path / "newer", root, b"weights 2")
    make(newer, files, name="mine", version="2.1", key_id="ops", key=KEY)
    install(newer, KEYS, places)
    assert (places.models / "mine.onnx").read_bytes() == b"weights 2"
    assert (places.models / "mine.onnx.previous").read_bytes() == b"weights 1"
    assert not [p for p in places.models.iterdir() if p.name.startswith(".installing")]
    for again in (package, newer):
        with pytest.raises(PackageError) as error:
            install(again, KEYS, places)
        assert error.value.reason == "downgrade"
    assert (places.models / "mine.onnx").read_bytes() == b"weights 2"


def test_modified_packages_are_refused(package: Path, places: Places) -> None:
    whole = package.read_bytes()
    rewrite(package, mine__onnx=b"weights X")
    assert reason(package, places) == "modified"
    package.write_bytes(whole)
    rewrite(package, extra__onnx=b"more")
    assert reason(package, places) == "modified"
    package.write_bytes(whole)
    rewrite(package, mine__yaml=None)
    assert reason(package, places) == "modified"
    package.write_bytes(whole)
    with zipfile.ZipFile(package) as content:
        manifest = json.loads(content.read(MANIFEST))
    manifest["version"] = "3"
    rewrite(package, manifest__json=json.dumps(manifest).encode())
    assert reason(package, places) == "bad_signature"


def test_unsigned_packages_and_those_of_strangers_are_refused(
    package: Path, places: Places, tmp_path: Path, root: Path
) -> None:
    stranger = Ed25519PrivateKey.from_private_bytes(bytes(32))
    other = tmp_path / "other.zip"
    files = model(tmp_path / "new", root)
    make(other, files, name="mine", version="9", key_id="ops", key=stranger)
    assert reason(other, places) == "bad_signature"
    make(other, files, name="mine", version="9", key_id="nobody", key=stranger)
    assert reason(other, places) == "unknown_key"
    rewrite(package, **{SIGNATURE.replace(".", "__"): None})
    assert reason(package, places) == "unsigned"


def test_truncated_packages_are_refused_wherever_they_end(package: Path, places: Places) -> None:
    whole = package.read_bytes()
    for end in range(0, len(whole) - 1, max(1, len(whole) // 60)):
        package.write_bytes(whole[:end])
        assert reason(package, places) in {"damaged", "modified", "unsigned", "bad_signature"}


def test_every_flipped_octet_is_refused_or_harmless(package: Path, places: Places) -> None:
    """Some octets of a zip mean nothing (times, versions): then what is read is what was signed."""
    whole = package.read_bytes()
    for at in range(0, len(whole), 7):
        package.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            assert verify(package, KEYS).version == "2"
        except PackageError:
            continue


def test_content_that_is_no_model_is_refused(tmp_path: Path, places: Places, root: Path) -> None:
    path = tmp_path / "p.zip"
    onnx, card = model(tmp_path / "new", root)
    with pytest.raises(PackageError):
        make(path, [onnx], name="mine", version="1", key_id="ops", key=KEY)
    onnx.write_bytes(b"weights that the card does not mean")
    make(path, [onnx, card], name="mine", version="1", key_id="ops", key=KEY)
    assert reason(path, places) == "bad_content"


def test_a_model_that_does_not_run_here_is_not_put_in_place(
    package: Path, places: Places, tmp_path: Path, root: Path
) -> None:
    """Signed, whole, newer, with the right card: and no network."""
    assert reason(package, places) == "does_not_run"
    real = tmp_path / "real.zip"
    files = [root / "models" / f"rsu_roadside.{kind}" for kind in ("onnx", "yaml")]
    make(real, files, name="mine", version="2", key_id="ops", key=KEY)
    install(real, KEYS, places)
    assert (places.models / "rsu_roadside.onnx").exists()


def test_software_goes_into_the_other_slot_and_is_switched_to(
    tmp_path: Path, places: Places
) -> None:
    assert not switch(places.software)
    for number, slot in ((1, "a"), (2, "b"), (3, "a")):
        wheel = tmp_path / f"rsu_runtime-{number}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as content:
            content.writestr("rsu/__init__.py", f"__version__ = '{number}'")
        package = tmp_path / f"{number}.zip"
        make(package, [wheel], name="rsu", version=str(number), key_id="ops", key=KEY)
        install(package, KEYS, places)
        before = places.software / "current" / "rsu" / "__init__.py"
        assert before.exists() == (number > 1)  # what runs stays until the switch
        if number > 1:
            assert str(number - 1) in before.read_text()
        assert switch(places.software)
        assert (places.software / "current").readlink() == Path(slot)
        assert str(number) in before.read_text()
    assert (places.software / "previous").readlink() == Path("b")
    escaping = tmp_path / "rsu_runtime-4-py3-none-any.whl"
    with zipfile.ZipFile(escaping, "w") as content:
        content.writestr("../../evil.py", "")
    package = tmp_path / "4.zip"
    make(package, [escaping], name="rsu", version="4", key_id="ops", key=KEY)
    with pytest.raises(PackageError) as error:
        install(package, KEYS, places)
    assert error.value.reason == "bad_content"
    assert not switch(places.software)


@pytest.mark.usefixtures("_runs")
def test_the_command_line_makes_verifies_and_installs(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RSU_MODELS", str(tmp_path / "models"))
    private, public = tmp_path / "ops.key", tmp_path / "ops.pem"
    private.write_bytes(KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(
        KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    files = [str(path) for path in model(tmp_path / "new", root)]
    target = str(tmp_path / "p.zip")
    head = ["package", "make", target, *files, "--name", "mine", "--version", "1"]
    assert run_command([*head, "--key", f"ops={private}"]) == 0
    assert run_command(["package", "verify", target, "--key", f"ops={public}", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert answer["manifest"]["name"] == "mine"
    assert run_command(["package", "install", target, "--key", f"ops={public}"]) == 0
    assert (tmp_path / "models" / "mine.onnx").exists()
    assert run_command(["package", "install", target, "--key", f"ops={public}"]) == 2
    assert "downgrade" in capsys.readouterr().err
    assert run_command(["package", "verify", target, "--key", f"ops={private}"]) == 2
    assert "bad_key" in capsys.readouterr().err
