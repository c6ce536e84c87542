"""`python -m rsu.cli`: the same as the console script `rsu`."""

from __future__ import annotations

from rsu.cli.main import main

main()
