"""Cameras: drivers turn files, folders, streams and devices into timed BGR images."""
