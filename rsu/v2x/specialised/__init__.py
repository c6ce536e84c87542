"""UPER by code written for one message set: straight from the JSON form to octets, and back.

`schema` holds the types, `encoding` and `decoding` write Python for them, `runtime` holds what the
written code calls, `generator` puts it together and runs it. See docs/v2x-codec.md.
"""
