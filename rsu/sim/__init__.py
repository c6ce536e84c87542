"""The built-in world: traffic and walkers at one signalised junction, and what sensors make of it.

`world` holds the truth (with `roads`, `signals`, `traffic`, `pedestrians`, `road_users`),
`detections` models cameras looking at it, `source` turns both into the messages that real devices
would have published. Truth never knows who looks at it: adding a sensor changes no vehicle.
"""
