"""What the scene means: traffic, parking bays, road events, warnings of conflicts.

`assembly` puts the parts of a site together, `stage` feeds them, `picture` is what they all read.
"""
