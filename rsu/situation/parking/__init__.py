"""Parking lots: which bays are taken, by whom, since when, and the way to a free one."""
