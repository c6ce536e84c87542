"""GNSS corrections of J2735: whole RTCM 10403 messages in, as they came from the station.

Up to five RTCM messages of up to 1023 octets share one message (facts: j2735-2024-fields.md, RTCM),
in their order. One that is longer, or empty, cannot be carried; then none of its epoch is, since
half an epoch of corrections corrects nothing. The station's place and antenna are in the RTCM
messages themselves, so anchorPoint and rtcmHeader are left out.
"""

from __future__ import annotations

from rsu.schema.v2x import Corrections
from rsu.v2x import time
from rsu.v2x.sae import units
from rsu.v2x.sae.revision import MODULUS
from rsu.v2x.writers import Content

MESSAGES = 5
"""RTCMmessageList, SIZE (1..5)."""
OCTETS = 1023
"""RTCMmessage, SIZE (1..1023)."""


class RtcmWriter:
    """A `rsu.v2x.writers.CorrectionWriter`."""

    def contents(self, count: int, corrections: Corrections) -> list[Content]:
        """RTCMcorrections, as few as hold the epoch, counted from `count` on.

        Raises OutOfRangeError for an RTCM message of no or more than 1023 octets.
        """
        messages = corrections.messages
        for message in messages:
            units.number("octets of an RTCM message", len(message), 1, OCTETS)
        return [
            {
                "msgCnt": (count + index) % MODULUS,
                "rev": "rtcmRev3",
                "timeStamp": time.minute_of_year(corrections.time_ns),
                "msgs": [message.hex() for message in messages[first : first + MESSAGES]],
            }
            for index, first in enumerate(range(0, len(messages), MESSAGES))
        ]
