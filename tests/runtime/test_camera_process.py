"""What a camera's process does about pictures besides making them."""

from __future__ import annotations

import resource
from types import SimpleNamespace

from rsu.runtime.workers import CameraWorker


def test_a_camera_s_process_leaves_no_core_file() -> None:
    before = resource.getrlimit(resource.RLIMIT_CORE)
    if before[1] == 0:
        return  # nothing to forbid here
    worker = object.__new__(CameraWorker)
    started: list[bool] = []
    worker._camera = SimpleNamespace(start=lambda: started.append(True))  # type: ignore[assignment]
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    try:
        worker.start()
        assert resource.getrlimit(resource.RLIMIT_CORE) == (0, before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)
    assert started == [True]
