"""What can go wrong between facts and bytes.

    V2xError
    ├── CodecError          a message value or its UPER encoding
    │   ├── EncodeError     the value does not fit the message set
    │   └── DecodeError     the octets are not a message of the set
    ├── NetworkError        a network header that cannot be built or read
    ├── SecurityError       a security envelope or certificate that cannot be read
    └── CaptureError        a file that is no packet capture

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


class SecurityError(V2xError):
    """A security envelope or certificate that cannot be read; the text says where it fails."""


class CaptureError(V2xError):
    """A file that is no packet capture of a known form."""
