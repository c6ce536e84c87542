"""Radars: drivers and what places their objects in the site frame."""
