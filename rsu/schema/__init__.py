"""The vocabulary that flows: frozen msgspec structs in SI units, and the one table of topics.

`units` values, `sensing` what sensors see, `frame` camera images, `signals` what controllers show,
`tracks` what fusion believes; what it means is in `parking`, `traffic`, `events` (conflicts and
traffic signs, too), `coordination` and `priority`. `v2x` frames, `reports` upstream and truth,
`health` state and decisions, `journal` for exact replay, `message` the envelope, `topics` the
table, `wire` the encodings; `psid` and `immediate_forward` are forms that radios and the inspector
share. Nothing here imports anything else of ours.
"""
