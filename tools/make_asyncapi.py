"""Write docs/asyncapi/<profile>.yaml from the tables of the uplink's profiles.

    python tools/make_asyncapi.py

Examples are the first bodies of each topic in tests/uplink/profiles/golden/; write those anew with
`RSU_WRITE_GOLDEN=1 python -m pytest tests/uplink/profiles/test_golden.py` first.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from rsu.uplink.profiles.asyncapi import TITLES, asyncapi, channel_of, channels_of

ROOT = Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests/uplink/profiles/golden"
TARGET = ROOT / "docs/asyncapi"


def examples_of(kind: str) -> dict[str, list[Any]]:
    """One body of each channel out of the golden file, where there is one."""
    file = GOLDEN / f"{kind}.json"
    found: dict[str, list[Any]] = {}
    for report in json.loads(file.read_text("utf-8")) if file.is_file() else ():
        channel = channel_of(report["topic"], channels_of(kind))
        if channel is not None and channel.schema is not None:
            found.setdefault(channel.name, [report["body"]])
    return found


def main() -> None:
    """Write every file."""
    TARGET.mkdir(exist_ok=True)
    yaml = YAML()
    yaml.width = 100
    yaml.representer.ignore_aliases = lambda _data: True
    for kind in TITLES:
        with (TARGET / f"{kind}.yaml").open("w", encoding="utf-8") as file:
            yaml.dump(asyncapi(kind, examples_of(kind)), file)


if __name__ == "__main__":
    main()
