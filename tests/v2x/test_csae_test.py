"""Test messages of T/CSAE 157: the configured octets and nothing else."""

from __future__ import annotations

import pytest

from rsu.v2x.csae import test_message
from rsu.v2x.csae.units import OutOfRangeError


@pytest.mark.parametrize("octets", [b"\x00", b"road test 7", bytes(range(256)) * 8])
def test_octets_as_configured(octets: bytes, said) -> None:
    writer = test_message.TestWriter(octets)
    value = writer.content(127, 1_750_000_000_000_000_000)
    assert value == {"msgCnt": 127, "userData": octets.hex()}
    assert value == writer.content(127, None)
    frame = said("csae157_2020", "TEST", value)
    # By hand: 7 bits of count, 11 of length less 1, the octets, zeros to the next octet.
    bits = f"{127:07b}{len(octets) - 1:011b}" + "".join(f"{octet:08b}" for octet in octets)
    bits += "0" * (-len(bits) % 8)
    assert frame[0] == 0x80  # second phase
    assert frame.endswith(int(bits, 2).to_bytes(len(bits) // 8, "big"))


@pytest.mark.parametrize("octets", [b"", bytes(2049)])
def test_what_does_not_fit_is_refused_at_once(octets: bytes) -> None:
    with pytest.raises(OutOfRangeError, match="test data"):
        test_message.TestWriter(octets)
