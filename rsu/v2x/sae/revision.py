"""Numbers that go up when what is said of a thing changes, and not when it is only repeated."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

MODULUS = 128
"""MsgCount, 0..127, 127 is followed by 0."""
KEYS_MAX = 256
"""Things remembered at once: twice the events that a voice keeps."""


class Revisions:
    """One number for each thing, kept while it is spoken of; the longest unspoken is forgotten."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def of(self, key: Hashable, said: Any) -> int:
        """The revision of `said` about `key`: 0 at first, one more with every change."""
        known = self._known.pop(key, None)
        number = 0 if known is None else (known[1] + (known[0] != said)) % MODULUS
        self._known[key] = (said, number)
        if len(self._known) > KEYS_MAX:
            self._known.popitem(last=False)
        return number
