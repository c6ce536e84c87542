"""The `rsu` command in this process, as starting one takes a second of imports and compiled ASN.1.

What only a process of its own can show (signals, pipes, imports, hash seeds) stays with the tests
of that.
"""

from __future__ import annotations

import contextlib
import io
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rsu.cli.main import run_command


@pytest.fixture(scope="session")
def rsu() -> Callable[..., subprocess.CompletedProcess[str]]:
    """`rsu(*arguments, cwd=None)` runs one command line: its exit code and what it printed."""

    def run(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        # Text over octets, as a process has it: some commands write octets.
        with _text() as out, _text() as err:
            with (
                contextlib.chdir(cwd or Path.cwd()),
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
            ):
                try:
                    code = run_command([str(one) for one in arguments])
                except SystemExit as end:
                    code = int(end.code or 0)
            return subprocess.CompletedProcess(arguments, code, _written(out), _written(err))

    return run


def _text() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8")


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode()
