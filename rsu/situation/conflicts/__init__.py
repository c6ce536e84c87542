"""Conflicts ahead: where everybody may be in the next seconds, and who may then meet whom."""
