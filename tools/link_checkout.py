"""Make the virtual environment use this checkout as the installed package `rsu-runtime`.

Writes a path file, minimal metadata (so that the version and the console script are found) and
`bin/rsu`. It does what an editable install does, without building anything or needing a network.
"""

from __future__ import annotations

import sys
import sysconfig
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Link the running interpreter's environment to the checkout this file lies in."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    site_packages = Path(sysconfig.get_path("purelib"))
    (site_packages / "rsu_runtime.pth").write_text(f"{ROOT}\n", encoding="utf-8")
    metadata = site_packages / f"rsu_runtime-{project['version']}.dist-info"
    metadata.mkdir(exist_ok=True)
    lines = ["Metadata-Version: 2.1", f"Name: {project['name']}", f"Version: {project['version']}"]
    (metadata / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (metadata / "INSTALLER").write_text("make\n", encoding="utf-8")
    scripts = [f"{name} = {target}" for name, target in project["scripts"].items()]
    text = "\n".join(["[console_scripts]", *scripts]) + "\n"
    (metadata / "entry_points.txt").write_text(text, encoding="utf-8")
    for name, target in project["scripts"].items():
        module, function = target.split(":")
        script = Path(sysconfig.get_path("scripts")) / name
        script.write_text(
            f"#!{sys.executable}\nimport sys\nfrom {module} import {function}\n"
            # As an installer writes it: processes that are spawned import this script too.
            f'if __name__ == "__main__":\n    sys.exit({function}())\n',
            encoding="utf-8",
        )
        script.chmod(0o755)


if __name__ == "__main__":
    main()
