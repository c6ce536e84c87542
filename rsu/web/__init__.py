"""The dashboard: one page that shows what the unit sees, says and is able to.

In: messages from the bus, or a recording. Out: snapshots to browsers. Nothing goes back.
"""
