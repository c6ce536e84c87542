"""Facts → bytes and back: what may be said, as which message, in which encoding and frame.

`stage` decides and emits, `csae` fills messages of the Chinese set, `codec` encodes them over the
ASN.1 text in `asn1/`, `network` puts the header before them. See docs/v2x.md.
"""
