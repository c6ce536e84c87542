"""Devices at wire level: what sensors measure becomes octets of the real protocols."""
