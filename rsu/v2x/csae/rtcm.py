"""RTCM messages of T/CSAE 157-2020: GNSS corrections in, message values in JSON form out.

The octets of a reference station are passed on as they came, up to five in a message. Number and
revision are stated for what has the transport frame of RTCM 10403 (version 3) around it: 0xD3, six
zero bits, ten bits of length, the message, three octets of CRC. Whose octets have another form
keeps its content to itself: neither is guessed.
"""

from __future__ import annotations

from rsu.schema.v2x import Corrections
from rsu.v2x.csae import units
from rsu.v2x.writers import Content

PER_MESSAGE = 5
"""corrections, SIZE (1..5)."""
PAYLOAD_OCTETS = 2047
"""RTCM-Payload, SIZE (1..2047)."""
REVISION = "rtcmRev3-2"
"""Revisions of version 3 add messages and keep the frame, and a frame does not say which one it
follows: the newest that the set can name."""

_PREAMBLE = 0xD3
_HEADER, _CRC = 3, 3
_NUMBER_OCTETS = 2
_COUNTS = 128
"""msgCnt is 0..127."""


class RtcmWriter:
    """A `rsu.v2x.writers.CorrectionWriter`."""

    def contents(self, count: int, corrections: Corrections) -> list[Content]:
        """RTCMcorrections, as few as hold all, counted from `count` on; none for no corrections.

        Raises OutOfRangeError for a correction of no octets or more than 2047.
        """
        stated = [_correction(octets) for octets in corrections.messages]
        groups = [
            stated[start : start + PER_MESSAGE] for start in range(0, len(stated), PER_MESSAGE)
        ]
        return [
            {"msgCnt": (count + index) % _COUNTS, "corrections": group}
            for index, group in enumerate(groups)
        ]


def rtcm3_number(octets: bytes) -> int | None:
    """Message number (12 bits) of an RTCM version 3 frame; None for octets of another form."""
    if len(octets) < _HEADER + _NUMBER_OCTETS + _CRC or octets[0] != _PREAMBLE:
        return None
    # Six reserved bits, which are zero, and the length make 16 bits.
    if int.from_bytes(octets[1:_HEADER], "big") != len(octets) - _HEADER - _CRC:
        return None
    return int.from_bytes(octets[_HEADER : _HEADER + _NUMBER_OCTETS], "big") >> 4


def _correction(octets: bytes) -> Content:
    units.number("octets of a correction", len(octets), 1, PAYLOAD_OCTETS)
    number = rtcm3_number(octets)
    known = {} if number is None else {"rev": REVISION, "rtcmID": number}
    return {**known, "payload": octets.hex()}
