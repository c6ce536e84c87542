"""Test messages of T/CSAE 157-2020: configured octets in, message values in JSON form out."""

from __future__ import annotations

from rsu.v2x.csae import units
from rsu.v2x.writers import Content

OCTETS_MAX = 2048
"""userData, OCTET STRING (SIZE (1..2048))."""


class TestWriter:
    """A `rsu.v2x.writers.StandingWriter`; raises OutOfRangeError for no octets or over 2048."""

    __test__ = False  # pytest takes classes of this name for tests

    def __init__(self, user_data: bytes) -> None:
        units.number("octets of test data", len(user_data), 1, OCTETS_MAX)
        self._data = user_data.hex()

    def content(self, count: int, time_ns: int | None) -> Content:  # noqa: ARG002  as every writer
        """TestMsg; it has no place for a time."""
        return {"msgCnt": count, "userData": self._data}
