"""Reports to platforms: what is said, the durable queue it waits in, the session that carries it.

`reports` is the stage (documents in `documents`), `client` what the runtime starts, `outbox` and
`store` the queue on disk, `session` and `tls` the broker. Everything else: docs/uplink.md.
"""
