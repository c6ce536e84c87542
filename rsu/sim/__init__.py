"""A world with known truth, and devices that look at it.

`world` holds the truth, `sensors` models what devices make of it, `source` turns both into the
messages that real devices would have published. Truth never knows who looks at it: adding a sensor
changes no vehicle.
"""
