"""Voices: when a message is said, one module per kind of fact that messages rest on."""
