"""The `rsu` command line: thin commands over the runtime, one module per command or group."""
