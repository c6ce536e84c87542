"""What can go wrong between facts and bytes.

    V2xError
    ├── CodecError          a message value or its UPER encoding
    │   ├── EncodeError     the value does not fit the message set
    │   └── DecodeError     the octets are not a message of the set
    └── NetworkError        a network header that cannot be built or read

All are ValueErrors: bad input, never a state of this program.
"""

from __future__ import annotations


class V2xError(ValueError):
    """Base of everything this package raises on bad input."""


class CodecError(V2xError):
    """A value or encoding that does not belong to the message set."""


class EncodeError(CodecError):
    """A value the message set cannot carry; the text names the field."""


class DecodeError(CodecError):
    """Octets that are not exactly one message of the set; the text names the field."""


class NetworkError(V2xError):
    """A network-layer header that cannot be built or read."""
