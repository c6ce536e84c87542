"""Sensor models: what a device would have reported of a scene, without its wire."""
