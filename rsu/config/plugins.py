"""Drivers of other packages: their option models join the site model.

A package that brings a driver declares two entry points of the same name, the `driver:` value: the
class in `rsu.drivers.<kind>` (loaded by `rsu.hal` when the unit runs) and its option model in
`rsu.options.<kind>` (loaded here). They are two, so that checking a site file never imports a
driver. An option model is an `rsu.config.base.Options` whose `driver` is a `Literal` of that name;
for cameras it extends `SourceOptions`, for all else the base named in `KINDS`.

Looking for installed packages takes longer than checking a file, so it happens only when a file
names a driver that is not ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from importlib.metadata import EntryPoint, entry_points
from operator import getitem, or_
from typing import Any, Literal, get_args, get_origin

from pydantic import Field, create_model

from rsu.config.base import Options
from rsu.config.cameras import CameraOptions, CameraSource, SourceOptions
from rsu.config.environment import Environment, EnvironmentBase
from rsu.config.gnss import Gnss, GnssBase
from rsu.config.model import SiteConfig
from rsu.config.parking import BayBase, BaySensor
from rsu.config.radars import Radar, RadarBase
from rsu.config.radios import Radio, RadioBase
from rsu.config.signals import Signal, SignalBase

KINDS: dict[str, tuple[Any, type[Options]]] = {
    "camera": (CameraSource, SourceOptions),
    "radio": (Radio, RadioBase),
    "radar": (Radar, RadarBase),
    "signal": (Signal, SignalBase),
    "parking": (BaySensor, BayBase),
    "gnss": (Gnss, GnssBase),
    "environment": (Environment, EnvironmentBase),
}
"""Kind → (union of our own option models, what a foreign one must extend)."""
LISTS = {
    "radio": "radios", "radar": "radars", "signal": "signals", "parking": "bay_sensors",
    "gnss": "gnss", "environment": "environment",
}  # fmt: skip
"""Kind → the section that is a list of just these."""


class PluginError(Exception):
    """An installed package declares option models that cannot be used."""


def own_drivers(kind: str) -> frozenset[str]:
    """The `driver:` values that need no other package."""
    return frozenset(_driver(model) for model in _own(kind))


def _own(kind: str) -> tuple[type[Options], ...]:
    """Our option models of a kind: members of a union, or the only one."""
    union = get_args(KINDS[kind][0])[0]
    return get_args(union) or (union,)


def installed(kind: str) -> dict[str, type[Options]]:
    """Option models of other packages by driver name.

    Raises PluginError, naming the package, for one that does not load or fit.
    """
    group = f"rsu.options.{kind}"
    return {point.name: _load(point, kind) for point in entry_points(group=group)}


def site_model(
    foreign: Mapping[str, Sequence[type[Options]]] | None = None,
) -> type[SiteConfig]:
    """The site model whose unions also hold `foreign` models (kind → models)."""
    added = {kind: tuple(models) for kind, models in (foreign or {}).items() if models}
    if not added:
        return SiteConfig
    # create_model takes types computed at run time, which no static annotation can express.
    make: Any = create_model
    camera: Any = make(
        "CameraOptions",
        __base__=CameraOptions,
        source=(_union("camera", added), ...),
    )
    cameras = SiteConfig.model_fields["cameras"]
    lists: dict[str, Any] = {
        section: (_subscript(tuple, _union(kind, added), ...), SiteConfig.model_fields[section])
        for kind, section in LISTS.items()
    }
    model: type[SiteConfig] = make(
        "SiteConfig",
        __base__=SiteConfig,
        __doc__=SiteConfig.__doc__,
        cameras=(_subscript(tuple, camera, ...), cameras),
        **lists,
    )
    return model


def _union(kind: str, added: dict[str, tuple[type[Options], ...]]) -> Any:
    members: Iterable[Any] = (*_own(kind), *added.get(kind, ()))
    annotated = get_origin(KINDS[kind][0])
    if kind not in added:
        return KINDS[kind][0]
    return _subscript(annotated, reduce(or_, members), Field(discriminator="driver"))


def _subscript(generic: Any, *arguments: Any) -> Any:
    """`generic[arguments]` for types that are known at run time only."""
    return getitem(generic, arguments)


def _load(point: EntryPoint, kind: str) -> type[Options]:
    package = point.dist.name if point.dist else point.value
    where = f"driver {point.name!r} of package {package}"
    if point.name in own_drivers(kind):
        raise PluginError(f"{where}: the name belongs to a driver of ours")
    try:
        model = point.load()
    except Exception as error:  # a foreign package may fail in any way while it is imported
        raise PluginError(f"{where} cannot be loaded: {type(error).__name__}: {error}") from None
    base = KINDS[kind][1]
    if not (isinstance(model, type) and issubclass(model, base)):
        raise PluginError(f"{where}: {point.value} is no subclass of {base.__name__}")
    if _driver(model) != point.name:
        raise PluginError(f"{where}: its `driver` is {_driver(model)!r}, not {point.name!r}")
    return model


def _driver(model: type[Options]) -> str:
    field = model.model_fields.get("driver")
    values = get_args(field.annotation) if field and get_origin(field.annotation) is Literal else ()
    return str(values[0]) if values else ""
