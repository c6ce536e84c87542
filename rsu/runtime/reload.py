"""A changed site file and a running unit: which of its processes have to start anew?

In: the configuration that runs and the one that shall. Out: the processes whose part of it has
changed, or what of the change only a start of the whole unit can take in. A part is every section
that a process reads, and the state of the files that these name (maps, certificates, secrets).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from rsu.config.leaves import differences, leaves
from rsu.config.model import SiteConfig
from rsu.runtime import graph

WHOLE_UNIT = ("site.id", "runtime.socket_folder", "runtime.metrics_port", "runtime.log_folder")
"""What the supervisor itself stands on."""
DEVICES = (*graph.DEVICE_SECTIONS, "cameras")
SECTIONS: dict[str, tuple[str, ...]] = {
    "recorder": ("recording",),
    "uplink": ("uplink", "site", "v2x", "audit"),
    "core": ("site", *DEVICES, "fusion", "situation", "v2x", "simulation"),
    graph.SIMULATION_WORKER: ("site", *DEVICES, "simulation"),
    graph.WEB_WORKER: (
        "site", *DEVICES, "fusion", "situation", "v2x", "radios", "simulation", "web", "recording",
        "privacy", "audit",
    ),
    graph.RENDERED_CAMERA: ("site", "simulation", "privacy"),
    "camera": ("privacy", "audit"),
    "device": ("site",),
}  # fmt: skip
"""By role, for foreign workers by name; those with an id read their own entry, too."""
READ = frozenset({"lanes", "zones", "file", "database", "network", "certificate", "key"})
"""Last names of values that are files which we read, beside all that end in `_file`."""


@dataclass(frozen=True)
class Parts:
    """What each process of a configuration works from, as opaque text."""

    config: SiteConfig
    of: dict[str, bytes]

    def changed(self, new: Parts) -> frozenset[str]:
        """Processes of both that have to start anew."""
        return frozenset(
            name for name, part in new.of.items() if name in self.of and self.of[name] != part
        )

    def whole_unit(self, new: Parts) -> list[str]:
        """Changed values that no process can take in by itself."""
        names = (name for name, _, _ in differences(self.config, new.config))
        return [name for name in names if name in WHOLE_UNIT]


def parts_of(config: SiteConfig, base: Path) -> Parts:
    """To be made when the configuration is read: files may change later."""
    files = _files(config, base)
    return Parts(
        config, {plan.name: _part(config, plan, files) for plan in graph.process_plans(config)}
    )


def _part(config: SiteConfig, plan: graph.ProcessPlan, files: dict[str, Any]) -> bytes:
    worker, _, entry = plan.instance.partition("/") if plan.role == "foreign" else ("", "", "")
    role = worker or plan.role
    sections = SECTIONS.get(role, ())
    own = entry or plan.instance if not worker or entry else ""
    said = {name: _plain(getattr(config, name)) for name in sections}
    if own:
        said["own"] = [
            _plain(one)
            for section in (*DEVICES, "radios")
            for one in getattr(config, section)
            if one.id == own
        ]
    read = {
        name: state
        for name, state in files.items()
        if name.split(".")[0].split("[")[0] in sections or (own and f"[{own}]" in name)
    }
    return msgspec.json.encode((said, read))


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return None if value is None else value.model_dump(mode="json")


def _files(config: SiteConfig, base: Path) -> dict[str, Any]:
    """By value: the state of every file that is read."""
    found: dict[str, Any] = {}
    for leaf in leaves(config, base):
        last = leaf.name.rpartition(".")[2]
        if isinstance(leaf.value, str) and (last in READ or last.endswith("_file")):
            try:
                status = Path(leaf.value).stat()
            except OSError:
                continue
            found[leaf.name] = (status.st_mtime_ns, status.st_size, status.st_ino)
    return found
