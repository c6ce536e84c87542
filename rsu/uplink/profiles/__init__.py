"""Platform profiles: what the unit reports, in the words and units of one platform each.

A profile is a pure mapping, written as tables of fields (`mapping`): news and frames in, statements
(topic, octets, content type, priority, time to live) out. `table` lists them; docs/platforms/ has a
page for each, docs/asyncapi/ a machine-readable file.
"""
