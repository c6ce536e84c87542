"""Devices: one folder per kind, one module per driver, one `Protocol` and one table per kind."""
