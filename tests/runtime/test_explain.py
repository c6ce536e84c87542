"""Every reason that the code can give has a meaning for readers."""

from __future__ import annotations

import re
from pathlib import Path

from rsu.runtime.explain import REASONS

GIVEN = re.compile(r"""(?:Refusal\(|_drop\(\s*now,\s*\w+,|Verdict\.[A-Z]+,)\s*"([a-z_]+)\"""")
"""A reason written out where it is given: in a refusal, a drop, or a note in the decision log."""


def test_every_reason_in_the_code_is_explained(root: Path) -> None:
    given = {
        reason
        for file in sorted((root / "rsu").rglob("*.py"))
        for reason in GIVEN.findall(file.read_text(encoding="utf-8"))
    }
    assert {"no_place", "own_echo", "controller_silent"} <= given, "the pattern finds nothing"
    assert given <= set(REASONS)
