"""Which image of a folder was taken when: from `timestamps.csv`, the file names, or a rate.

`timestamps.csv` has a header `name,utc_ns` (integers) or `name,seconds` (decimals). Seconds of
10⁸ (March 1973) or more are Unix time, smaller ones count from the start time. File names may carry
Unix time as 13 digits (ms), 16 (µs), 19 (ns), or as ten digits and a fraction of 3, 6 or 9 behind
`_`, `.` or `-`, as datasets of roadside cameras do.
"""

from __future__ import annotations

import csv
import re
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from rsu.hal.errors import DeviceError
from rsu.schema.units import NS_PER_S

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm"})
TIMES_FILE = "timestamps.csv"

_SPLIT_TIME = re.compile(r"(?<!\d)(\d{10})[._-](\d{9}|\d{6}|\d{3})(?!\d)")
_WHOLE_TIME = re.compile(r"(?<!\d)(\d{19}|\d{16}|\d{13})(?!\d)")
_UNIX_SECONDS = 100_000_000
_LAST_NS = 2**63 - 1
"""Times are signed 64-bit wherever they are stored."""


class TimedImage(NamedTuple):
    """One image file; `time_ns` is UTC ns. Sorts by time, then by name."""

    time_ns: int
    path: Path


def timed_images(folder: Path, start_ns: int, rate_hz: float | None) -> tuple[TimedImage, ...]:
    """All images of the folder in the order they were taken.

    `start_ns` is the UTC of the first image where times are relative. Raises DeviceError when no
    rule gives every image a time, or when timestamps.csv is not what it should be.
    """
    times_file = folder / TIMES_FILE
    if times_file.is_file():
        return tuple(sorted(_from_table(times_file, folder, start_ns)))
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    named = [(time_in_name(path.name), path) for path in paths]
    timed = [TimedImage(time_ns, path) for time_ns, path in named if time_ns is not None]
    if len(timed) == len(paths):
        return tuple(sorted(timed))
    if rate_hz is None:
        without = next(path.name for time_ns, path in named if time_ns is None)
        raise DeviceError(
            f"image folder {folder}: no time is known for {without}",
            f"add {TIMES_FILE} (name,utc_ns) or set `rate_hz`",
        )
    return tuple(
        TimedImage(start_ns + round(index * NS_PER_S / rate_hz), path)
        for index, path in enumerate(paths)
    )


def time_in_name(name: str) -> int | None:
    """Unix time in ns that a file name carries, None when it carries none."""
    stem = name.rsplit(".", 1)[0]
    split = _SPLIT_TIME.search(stem)
    if split is not None:
        return int(split[1]) * NS_PER_S + int(split[2].ljust(9, "0"))
    whole = _WHOLE_TIME.search(stem)
    return None if whole is None else int(whole[1].ljust(19, "0"))


def _from_table(times_file: Path, folder: Path, start_ns: int) -> list[TimedImage]:
    images: list[TimedImage] = []
    try:
        with times_file.open(newline="", encoding="utf-8-sig") as lines:
            rows = csv.reader(lines)
            unit = _unit(next(rows, []), times_file)
            images.extend(_timed(row, unit, folder, start_ns, rows.line_num) for row in rows if row)
    except (csv.Error, UnicodeDecodeError) as error:
        raise DeviceError(f"{times_file} is no CSV text: {error}", "write it anew") from error
    return images


def _unit(header: list[str], times_file: Path) -> str:
    fields = [field.strip() for field in header]
    if fields not in (["name", "utc_ns"], ["name", "seconds"]):
        raise DeviceError(
            f"{times_file}:1: the header is {','.join(fields)!r}",
            "begin it with `name,utc_ns` or `name,seconds`",
        )
    return fields[1]


def _timed(row: list[str], unit: str, folder: Path, start_ns: int, line: int) -> TimedImage:
    where = f"{folder / TIMES_FILE}:{line}"
    if len(row) != 2:
        raise DeviceError(f"{where}: {len(row)} fields", "give every line a name and a time")
    name, text = row[0].strip(), row[1].strip()
    if not name or Path(name).name != name:
        raise DeviceError(f"{where}: {name!r} is no file name", "name files without any folder")
    try:
        if unit == "utc_ns":
            time_ns = int(text)
        else:
            seconds = Decimal(text)
            if abs(seconds) > _LAST_NS // NS_PER_S:  # before a huge exponent becomes an integer
                raise ValueError("out of range")
            time_ns = int(seconds * NS_PER_S) + (0 if seconds >= _UNIX_SECONDS else start_ns)
    except (ValueError, ArithmeticError) as error:
        raise DeviceError(f"{where}: {text!r} is no time", f"write {unit} as a number") from error
    if not 0 <= time_ns <= _LAST_NS:
        raise DeviceError(f"{where}: {text!r} is out of range", "use years 1970 to 2262")
    return TimedImage(time_ns, folder / name)
