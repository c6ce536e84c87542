"""Recordings: MCAP files of every topic, written live, read back exactly, repaired when damaged.

`recorder` is the live driver (rotation, quota, disk trouble) on top of `writer` (one file);
`reader` gives the messages back, `info` sums a recording up, `recover` repairs, `export` converts,
`cut` shortens, `golden` compares. `layout` says what lies where in a file. See docs/recording.md.
"""
