"""A cursor over canonical OER octets (ITU-T X.696), just enough for security envelopes.

Every step takes octets or raises SecurityError with the position; no step reserves memory by a
length it has read, so work is bounded by the octets that are really there.
"""

from __future__ import annotations

from rsu.v2x.errors import SecurityError

LENGTH_OCTETS_MAX = 4
"""Longest length of a length: four octets already exceed every datagram."""


class CoerReader:
    """Octets and a position in them."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.at = 0

    def fail(self, problem: str) -> SecurityError:
        """The error to raise for a problem at the present position."""
        return SecurityError(f"octet {self.at}: {problem}")

    def take(self, count: int) -> bytes:
        """The next `count` octets."""
        found = self.octets[self.at : self.at + count]
        if len(found) < count:
            raise self.fail(f"{count} octets wanted, {len(found)} left")
        self.at += count
        return found

    def unsigned(self, count: int) -> int:
        """An unsigned integer of a fixed number of octets."""
        return int.from_bytes(self.take(count), "big")

    def length(self) -> int:
        """A length determinant: one octet below 0x80, else the count of octets that follow.

        Canonical: the shortest form only.
        """
        first = self.unsigned(1)
        if first < 0x80:
            return first
        count = first & 0x7F
        if not 1 <= count <= LENGTH_OCTETS_MAX:
            raise self.fail(f"length in {count} octets")
        value = self.unsigned(count)
        if value < 0x80 or value < 1 << 8 * (count - 1):
            raise self.fail(f"length {value} is not in its shortest form")
        return value

    def variable(self) -> bytes:
        """An octet string of its own length, or the encoding inside an open type."""
        return self.take(self.length())

    def integer(self) -> int:
        """An unsigned integer of its own length, in the shortest form."""
        octets = self.variable()
        if not octets or (len(octets) > 1 and octets[0] == 0):
            raise self.fail("integer that is not in its shortest form")
        return int.from_bytes(octets, "big")

    def count(self) -> int:
        """How many elements a SEQUENCE OF has; each takes at least one octet."""
        found = self.integer()
        if found > len(self.octets) - self.at:
            raise self.fail(f"{found} elements in {len(self.octets) - self.at} octets")
        return found

    def tag(self) -> int:
        """The number of a CHOICE alternative (context class, below 63)."""
        octet = self.unsigned(1)
        if octet & 0xC0 != 0x80 or octet == 0xBF:
            raise self.fail(f"{octet:#04x} is no alternative of a choice")
        return octet & 0x3F

    def alternative(self, root: int) -> tuple[int, bytes | None]:
        """A CHOICE with `root` known alternatives: its number, and the octets of an extension.

        None for a known alternative, whose encoding follows; a later one is wrapped with its
        length and comes out whole.
        """
        number = self.tag()
        return number, None if number < root else self.variable()

    def preamble(self, optional: int, *, extensible: bool) -> tuple[bool, list[bool]]:
        """Leading bits of a SEQUENCE: extensions present?, then one per optional field."""
        bits = optional + extensible
        octets = self.take((bits + 7) // 8)
        written = f"{int.from_bytes(octets, 'big'):0{len(octets) * 8}b}"
        if "1" in written[bits:]:
            raise self.fail("unused preamble bits are set")
        present = [bit == "1" for bit in written[:bits]]
        return (present[0], present[1:]) if extensible else (False, present)

    def extensions(self) -> list[tuple[int, bytes]]:
        """Extension additions of a SEQUENCE whose extension bit is set: (index, encoding)."""
        bitmap = self.variable()
        if len(bitmap) < 2 or bitmap[0] > 7:
            raise self.fail("extension bitmap that is none")
        bits = "".join(f"{octet:08b}" for octet in bitmap[1:])
        used = bits[: len(bits) - bitmap[0]]
        if "1" in bits[len(used) :] or "1" not in used:
            raise self.fail("extension bitmap that is not canonical")
        return [(index, self.variable()) for index, bit in enumerate(used) if bit == "1"]

    def end(self) -> None:
        """Nothing may follow."""
        if self.at != len(self.octets):
            raise self.fail(f"{len(self.octets) - self.at} octets follow the end")
