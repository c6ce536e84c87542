"""Radios: drivers take V2X frames to the air and bring back what was heard."""
