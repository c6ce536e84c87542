"""`python -m rsu.cli`: the same as the console script `rsu`."""

from __future__ import annotations

from rsu.cli.main import main

if __name__ == "__main__":  # processes of rendered cameras import this module too
    main()
