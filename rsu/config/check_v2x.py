"""Cross-checks of what is said on the air: messages against the map, radios and each other.

In: a valid `SiteConfig` and the features of its map (None where the map itself has errors). Out:
notes. What only the message writers can tell (a lane that a MAP cannot carry) is found by
`rsu.runtime.trial`, which needs the whole V2X layer; this module is light.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rsu.config import check_files
from rsu.config.cameras import SimSourceOptions
from rsu.config.messages import nearest, quote
from rsu.config.model import SiteConfig
from rsu.config.problems import Location, Note
from rsu.config.radios import FileRadioOptions, Rsu41RadioOptions
from rsu.config.v2x import V2xOptions
from rsu.config.v2x_messages import MessageOptions, messages_of
from rsu.site.features import LaneRole, MapFeatures, ZoneKind

CSAE = ("v2x", "csae")
SAE = ("v2x", "sae")
FOREIGN_AIDS = {
    **dict.fromkeys((111, 112, 113, 114, 3617), "BSM of vehicles"),
    3616: "service advertisements",
    3624: "tests of vehicles",
    **dict.fromkeys((3627, 3628, 3629), "certificate management"),
}
"""AIDs that stand for something a roadside unit never says (facts: csae.md 5.1)."""
ONE_SAE_PSID = frozenset({"spat", "map", "ssm"})
"""SPaT and SSM have one PSID, and deployed units send MAP with it too (facts: sae.md 4.1)."""
LEAST_ROOM = 130
"""Octets for header and message below which whole kinds of messages would always be withheld: a
header takes up to 19, one road user alone 60, one sign on two lanes 85, the lights of a junction
with eight signal groups 111 (measured on the example that speaks both message sets)."""
SIGNATURE = 100
"""Octets that a signed packet takes at least more than a bare one (`v2x.security_octets`)."""


def notes(config: SiteConfig, features: MapFeatures | None) -> Iterator[Note]:
    """All notes on sections `v2x`, `radios` (as far as they send) and `site.signs`."""
    yield from _signs(config, features)
    v2x = config.v2x
    if v2x is None:
        if config.radios:
            yield Note(("radios",), "nothing is sent without a section v2x", warning=True)
        return
    yield from _air(config, v2x)
    yield from _identifiers(v2x)
    yield from _receive(v2x)
    yield from _room(config, v2x)
    if features is not None:
        yield from _map(config, v2x, features)
        yield from _parking(v2x, features)


def _enabled(v2x: V2xOptions, *places: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Those of the places, such as ("v2x", "sae", "map"), whose message is said."""
    on = {
        at
        for section, options in ((CSAE, v2x.csae), (SAE, v2x.sae))
        if options is not None
        for at, message in messages_of(options, section)
        if message.enabled
    }
    return [place for place in places if place in on]


# --- what the site says of itself -----------------------------------------------------------------


def _signs(config: SiteConfig, features: MapFeatures | None) -> Iterator[Note]:
    v2x = config.v2x
    in_rsi = v2x is not None and bool(_enabled(v2x, (*CSAE, "rsi", "static")))
    in_tim = v2x is not None and bool(_enabled(v2x, (*SAE, "tim")))
    lanes = None if features is None else [lane.id for lane in features.lanes]
    first: dict[str, int] = {}
    for index, sign in enumerate(config.site.signs):
        at: Location = ("site", "signs", index)
        if sign.id in first:
            message = f"'{sign.id}' is already the id of site.signs[{first[sign.id]}]"
            yield Note((*at, "id"), message)
        first.setdefault(sign.id, index)
        times = {"from_utc": sign.from_utc, "until_utc": sign.until_utc}
        wrong = [key for key, text in times.items() if text and not check_files.is_time(text)]
        for key in wrong:
            yield Note((*at, key), f"{quote(times[key])} is no date that exists")
        # RFC 3339 texts in UTC sort as their times do, but for fractions of one second.
        if sign.from_utc and sign.until_utc and not wrong and sign.until_utc <= sign.from_utc:
            yield Note((*at, "until_utc"), "is not after from_utc: the sign would never hold")
        for number, name in enumerate(sign.lanes):
            if lanes is not None and name not in lanes:
                known = f"there is no lane {quote(name)} on the map"
                yield Note((*at, "lanes", number), known, nearest(name, lanes))
        said = (in_rsi and sign.code is not None) or (in_tim and sign.itis is not None)
        if v2x is not None and not said:
            message = "is said in no message: code needs v2x.csae.rsi.static, itis v2x.sae.tim"
            yield Note(at, message, warning=True)


def _map(config: SiteConfig, v2x: V2xOptions, features: MapFeatures) -> Iterator[Note]:
    """MAP and SPAT rest on the lanes, their signal groups and the number of the intersection."""
    site = config.site
    maps = _enabled(v2x, (*CSAE, "map"), (*SAE, "map"))
    spats = _enabled(v2x, (*CSAE, "spat"), (*SAE, "spat"))
    entries = [lane for lane in features.lanes if lane.role is LaneRole.ENTRY]
    signalised = any(lane.signal_group is not None for lane in features.lanes)
    for at in maps:
        if site.lanes is None:
            yield Note((*at, "enabled"), "says the site's lanes: set site.lanes")
        elif not entries:
            message = "no lane of the map has the role entry: no intersection could be said"
            yield Note((*at, "enabled"), message)
    nodes = {lane.downstream_node for lane in entries} - {None}
    if (*CSAE, "map") in maps and nodes and site.intersection not in nodes:
        known = ", ".join(str(node) for node in sorted(node for node in nodes if node is not None))
        message = f"no entry lane of the map leads to node {site.intersection}, but to {known}"
        yield Note(("site", "intersection"), message)
    elif "intersection" not in site.model_fields_set and (maps or (spats and signalised)):
        message = "is not set: MAP and SPAT would name intersection 0"
        yield Note(("site", "intersection"), message, warning=True)
    if site.lanes is not None and not signalised:
        for at in spats:
            options = v2x.csae if at[:2] == CSAE else v2x.sae
            # On by default, so that a site without signals need not say so.
            if options is not None and "enabled" in options.spat.model_fields_set:
                message = "no lane of the map has a signal_group: nobody could tell whom it is for"
                yield Note((*at, "enabled"), message, warning=True)


def _parking(v2x: V2xOptions, features: MapFeatures) -> Iterator[Note]:
    """`rsu.v2x.repertoire.lot_of` as a check."""
    if v2x.csae is None or not v2x.csae.pam.enabled:
        return
    at, name = (*CSAE, "pam"), v2x.csae.pam.lot
    lots = sorted({z.lot for z in features.zones if z.kind is ZoneKind.BAY and z.lot is not None})
    if not lots:
        yield Note((*at, "enabled"), "the map has no bays: draw some in site.zones")
    elif name and name not in lots:
        message = f"there is no lot {quote(name)} on the map; known: {', '.join(lots)}"
        yield Note((*at, "lot"), message, nearest(name, lots))
    elif not name and len(lots) > 1:
        yield Note((*at, "lot"), f"is missing; one of {', '.join(lots)}")


# --- what is said, and heard ----------------------------------------------------------------------


def _air(config: SiteConfig, v2x: V2xOptions) -> Iterator[Note]:
    """Whether anything is said at all, and whether it may be."""
    if not config.radios:
        yield Note(("v2x",), "no radio is configured: nothing leaves the unit", warning=True)
    if not int(v2x.rsu_id, 16):
        yield Note(("v2x", "rsu_id"), "is all zero: it must name this unit")
    if v2x.csae is None and v2x.sae is None:
        yield Note(("v2x",), "neither csae nor sae is spoken: nothing is said", warning=True)
    on_air = next((r for r in config.radios if not isinstance(r, FileRadioOptions)), None)
    if on_air is None:
        return
    if v2x.trust_clock:
        message = f"radio '{on_air.id}' would send even with a wrong clock"
        yield Note(("v2x", "trust_clock"), message, warning=True)
    for index, camera in enumerate(config.cameras):
        if isinstance(camera.source, SimSourceOptions):
            message = f"road users that do not exist would go on the air by radio '{on_air.id}'"
            yield Note(("cameras", index, "source", "driver"), message, warning=True)


def _identifiers(v2x: V2xOptions) -> Iterator[Note]:
    """Each message has its AID or PSID: certificates and receivers' filters go by it."""
    if v2x.csae is not None:
        yield from _shared(list(messages_of(v2x.csae, CSAE)), "AID", FOREIGN_AIDS)
    if v2x.sae is not None:
        yield from _shared(list(messages_of(v2x.sae, SAE)), "PSID", {})


def _shared(
    messages: Iterable[tuple[tuple[str, ...], MessageOptions]], what: str, foreign: dict[int, str]
) -> Iterator[Note]:
    # Who has a number by default keeps it, also while it is not said.
    defaults = [(at, type(message).model_fields["aid"].default) for at, message in messages]
    owners: dict[int, tuple[str, ...]] = {}
    for at, number in defaults:
        if number:
            owners.setdefault(number, at)
    for (at, message), (_, default) in zip(messages, defaults, strict=True):
        if not message.enabled or message.aid == default:
            continue
        owner = owners.setdefault(message.aid, at)
        if not _one_family(owner, at):
            text = f"{message.aid} is the {what} of {'.'.join(owner[2:])}"
            yield Note((*at, "aid"), f"{text}: they could not be told apart by it", warning=True)
        elif message.aid in foreign:
            text = f"{message.aid} stands for {foreign[message.aid]}"
            yield Note((*at, "aid"), text, warning=True)


def _one_family(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether two messages of one set may share an identifier: the classes of RSI are one message,
    and all that SAE says of signals goes by one PSID."""
    if one == other or one[:3] == other[:3]:
        return True
    return one[:2] == SAE and {one[2], other[2]} <= ONE_SAE_PSID


def _receive(v2x: V2xOptions) -> Iterator[Note]:
    """Neighbours most likely speak as this unit does."""
    heard = v2x.receive
    if not heard.enabled:
        return
    spoken = v2x.csae.profile if v2x.csae is not None else None
    # csae157_2020 reads all of csae53_2020; None says on purpose that nothing is read.
    if spoken and heard.dsmp not in (None, spoken, "csae157_2020"):
        message = f"is {heard.dsmp}, but {spoken} is spoken here: neighbours would be misread"
        yield Note(("v2x", "receive", "dsmp"), message, warning=True)
    if v2x.sae is not None and heard.wsmp not in (None, v2x.sae.profile):
        message = (
            f"is {heard.wsmp}, but {v2x.sae.profile} is spoken here: neighbours would be misread"
        )
        yield Note(("v2x", "receive", "wsmp"), message, warning=True)


def _room(config: SiteConfig, v2x: V2xOptions) -> Iterator[Note]:
    """A packet holds headers, signature and message."""
    room = v2x.packet_octets - v2x.security_octets
    if room < LEAST_ROOM:
        message = (
            f"leaves {max(room, 0)} of {v2x.packet_octets} octets for header and message; "
            f"{LEAST_ROOM} are the least to be useful"
        )
        key = "security_octets" if "security_octets" in v2x.model_fields_set else "packet_octets"
        yield Note(("v2x", key), message, warning=room > 0)
    signing = next(
        (r for r in config.radios if isinstance(r, Rsu41RadioOptions) and r.signature), None
    )
    if signing is not None and v2x.security_octets < SIGNATURE:
        message = f"radio '{signing.id}' signs, which takes at least {SIGNATURE} octets"
        yield Note(("v2x", "security_octets"), message, warning=True)
