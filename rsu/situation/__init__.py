"""What the scene means: traffic per lane. Later parking bays, road events and warnings.

`traffic` holds the stage, `counting` the counting lines. In: tracks and sensor health; out:
`TrafficState` per period.
"""
