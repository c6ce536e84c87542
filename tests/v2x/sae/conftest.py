"""What the tests of SAE messages share: a message on the air, read by two codecs."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rsu.v2x.codec import codec_for, schema_text

PROFILE = "j2735_2024"
# WGS-84.
SEMI_MAJOR, FLATTENING = 6_378_137.0, 1 / 298.257223563


@pytest.fixture(scope="session")
def pycrate_message(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Decodes bare octets of a type with pycrate, an independent codec, over the same text.

    Asserts that pycrate encodes what it decoded to the same octets, and returns it in JSON form.
    """
    asnproc = pytest.importorskip("pycrate_asn1c.asnproc")
    target = Path(tmp_path_factory.mktemp("pycrate")) / f"{PROFILE}.py"
    asnproc.compile_text(schema_text(PROFILE))
    asnproc.generate_modules(asnproc.PycrateGenerator, str(target))
    asnproc.GLOBAL.clear()
    spec = importlib.util.spec_from_file_location(f"pycrate_{PROFILE}", target)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    modules = [value for name, value in vars(module).items() if name.startswith("J2735_")]

    def decode(octets: bytes, type_name: str) -> Any:
        (message,) = [
            getattr(one, type_name) for one in modules if type_name in getattr(one, "_obj_", ())
        ]
        message.from_uper(octets)
        assert message.to_uper() == octets
        return _json_form(message.get_val())

    yield decode
    asnproc.GLOBAL.clear()


@pytest.fixture
def on_air(pycrate_message: Callable[..., Any]) -> Callable[[str, Any], bytes]:
    """Frames and encodes the content of a message; both codecs must read it back as it was."""
    codec = codec_for(PROFILE)

    def send(message: str, content: Any) -> bytes:
        frame = codec.frame(message, content)
        octets = codec.encode(frame)
        assert codec.decode(octets) == frame
        ((type_name, value),) = frame["value"].items()
        assert pycrate_message(codec.encode(value, type_name), type_name) == value
        return octets

    return send


@pytest.fixture(scope="session")
def encode() -> Callable[[str, Any], bytes]:
    """Frames and encodes with our codec alone, for many values."""
    codec = codec_for(PROFILE)
    return lambda message, content: codec.encode(codec.frame(message, content))


@pytest.fixture(scope="session")
def degrees() -> Callable[..., dict[str, int]]:
    """`degrees(origin, x, y)`: lat and long in 1e-7 degree, by radii of curvature.

    Independent of the product's projection; to second order, which within 100 m of the origin is
    good to a thousandth of a step.
    """

    def radii(latitude: float) -> tuple[float, float]:
        square = FLATTENING * (2 - FLATTENING)
        w = math.sqrt(1 - square * math.sin(math.radians(latitude)) ** 2)
        return SEMI_MAJOR * (1 - square) / w**3, SEMI_MAJOR / w

    def place(origin: Any, x: float, y: float) -> dict[str, int]:
        north, east = (radius + origin.altitude for radius in radii(origin.latitude))
        # What lies east on the plane lies north of its own parallel, which curves away.
        drop = x * x * math.tan(math.radians(origin.latitude)) / (2 * east)
        latitude = origin.latitude + math.degrees((y - drop) / north)
        parallel = (radii(latitude)[1] + origin.altitude) * math.cos(math.radians(latitude))
        longitude = origin.longitude + math.degrees(x / parallel)
        return {"lat": math.floor(latitude * 1e7 + 0.5), "long": math.floor(longitude * 1e7 + 0.5)}

    return place


def _json_form(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _json_form(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_json_form(inner) for inner in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple) and isinstance(value[0], str):
        return {value[0]: _json_form(value[1])}
    if isinstance(value, tuple) and len(value) > 2:
        return ".".join(map(str, value))
    if isinstance(value, tuple):
        number, bits = value
        return {"bits": f"{number:0{bits}b}" if bits else ""}
    return value
