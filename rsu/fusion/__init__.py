"""Detections to tracks: one set of tracks from any number of cameras and radars.

`stage` is the entry. Detections become arrays (`measurements`), are put into capture order
(`history`), and every scan takes the `table` of tracks one step further (`tracker`: `motion`,
`association`, `existence`, `regime`); `publication` says what is sure enough. `classes` holds what
is known about each kind of road user. docs/fusion.md explains the decisions.
"""
