"""Is a run the same as an earlier one? The comparison behind `rsu replay --golden`.

In: two recordings. Out: whether their V2X frames are the same, byte for byte and in the same
order, and the first difference field by field. Tracks can be compared too, with tolerances per
field, where two machines' arithmetic may differ in the last bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import Any

import msgspec

from rsu.recording.reader import Paths, read_messages
from rsu.schema.message import Message
from rsu.schema.topics import TRACKS, V2X_TX, Topic

LISTED = 20
"""Differences of one message told at most: the first few say what happened."""
MISSING = "(missing)"


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """How much two messages of a topic may differ.

    Keys are field names as in the schema, with dots for nesting and without list indices
    (`tracks.position.x`); a key covers everything below it. `tolerances` are absolute, in the
    field's own unit; those in `angles` are compared around the circle (rad). `ignored` fields are
    not compared.
    """

    tolerances: Mapping[str, float] = {}
    angles: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()


EXACT = Rules()
TRACK_RULES = Rules(
    tolerances={
        # Far below what a sensor resolves, far above rounding (1e-12 relative over minutes).
        "tracks.position": 1e-3,
        "tracks.heading": 1e-3,
        "tracks.speed": 1e-3,
        "tracks.turn_rate": 1e-3,
        "tracks.covariance": 1e-3,
        "tracks.size": 1e-3,
        "tracks.existence": 1e-3,
        "tracks.class_probability": 1e-3,
        "tracks.acceleration": 1e-2,
    },
    angles=frozenset({"tracks.heading"}),
)


class FieldDifference(msgspec.Struct, frozen=True, kw_only=True):
    """One field that differs; values as JSON text, `(missing)` where one side has none."""

    field: str
    reference: str
    candidate: str


class MessageDifference(msgspec.Struct, frozen=True, kw_only=True):
    """The first message that differs: its place in the order, what it is, and in which fields."""

    index: int
    reference: str
    candidate: str
    fields: tuple[FieldDifference, ...]


class TopicComparison(msgspec.Struct, frozen=True, kw_only=True):
    """One topic in both recordings, message by message in order."""

    topic: str
    reference: int
    candidate: int
    different: int
    first: MessageDifference | None

    @property
    def equal(self) -> bool:
        """Whether no message differs and none is missing on either side."""
        return self.first is None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """All compared topics."""

    topics: tuple[TopicComparison, ...]

    @property
    def equal(self) -> bool:
        """Whether the candidate says what the reference says."""
        return all(topic.equal for topic in self.topics)

    def describe(self) -> str:
        """A line per topic, and the first difference of each field by field."""
        return "\n".join(map(_text, self.topics))


def compare_recordings(
    reference: Paths, candidate: Paths, *, tracks: Rules | None = None
) -> Comparison:
    """Compare two recordings; raises RecordingError when one cannot be read whole.

    A golden recording without any frame proves nothing: that counts as a difference.
    """
    compared = [
        compare_messages(
            V2X_TX, read_messages(reference, [V2X_TX]), read_messages(candidate, [V2X_TX]), EXACT
        )
    ]
    if tracks is not None:
        compared.append(
            compare_messages(
                TRACKS, read_messages(reference, [TRACKS]), read_messages(candidate, [TRACKS]),
                tracks,
            )
        )  # fmt: skip
    return Comparison(topics=tuple(compared))


def compare_messages(
    topic: Topic, reference: Iterable[Message], candidate: Iterable[Message], rules: Rules
) -> TopicComparison:
    """Compare two streams of messages of one topic by their payloads, pair by pair in order.

    When and by whom a message was published is not compared; what it says is.
    """
    counts = [0, 0]
    different = 0
    first: MessageDifference | None = None
    for index, (wanted, got) in enumerate(zip_longest(reference, candidate)):
        counts[0] += wanted is not None
        counts[1] += got is not None
        if wanted is not None and got is not None and wanted.payload == got.payload:
            continue
        fields = tuple(_differences(wanted, got, rules))
        if fields:
            different += 1
            first = first or _message_difference(index, wanted, got, fields)
    if counts[0] == 0 and first is None and topic == V2X_TX:
        first = MessageDifference(
            index=0, reference="no frame at all", candidate="no frame at all", fields=()
        )
    return TopicComparison(
        topic=topic.name, reference=counts[0], candidate=counts[1], different=different, first=first
    )


def _differences(
    wanted: Message | None, got: Message | None, rules: Rules
) -> Iterator[FieldDifference]:
    if wanted is None or got is None:
        yield FieldDifference(
            field="message",
            reference=MISSING if wanted is None else _name(wanted),
            candidate=MISSING if got is None else _name(got),
        )
        return
    yield from _walk("", _plain(wanted.payload), _plain(got.payload), rules)


def _walk(path: str, wanted: Any, got: Any, rules: Rules) -> Iterator[FieldDifference]:
    if _covered(path, rules.ignored):
        return
    if isinstance(wanted, dict) and isinstance(got, dict):
        for key in (*wanted, *(key for key in got if key not in wanted)):
            below = f"{path}.{key}" if path else str(key)
            yield from _walk(below, wanted.get(key, MISSING), got.get(key, MISSING), rules)
    elif isinstance(wanted, (list, tuple)) and isinstance(got, (list, tuple)):
        for index, (left, right) in enumerate(zip_longest(wanted, got, fillvalue=MISSING)):
            yield from _walk(f"{path}[{index}]", left, right, rules)
    elif not _equal(path, wanted, got, rules):
        yield FieldDifference(field=path, reference=_json(wanted), candidate=_json(got))


def _equal(path: str, wanted: Any, got: Any, rules: Rules) -> bool:
    if wanted == got and type(wanted) is type(got):
        return True
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in (wanted, got))
    tolerance = _tolerance(path, rules)
    if not numbers or tolerance is None:
        return False
    distance = float(wanted - got)
    if _covered(path, rules.angles):
        distance = math.remainder(distance, math.tau)
    return abs(distance) <= tolerance


def _tolerance(path: str, rules: Rules) -> float | None:
    bare = _bare(path)
    for name, tolerance in rules.tolerances.items():
        if bare == name or bare.startswith(f"{name}."):
            return tolerance
    return None


def _covered(path: str, names: frozenset[str]) -> bool:
    bare = _bare(path)
    return any(bare == name or bare.startswith(f"{name}.") for name in names)


def _bare(path: str) -> str:
    """The path without list indices: `tracks[3].position.x` → `tracks.position.x`."""
    return "".join(part.partition("]")[2] if i else part for i, part in enumerate(path.split("[")))


def _plain(value: Any) -> Any:
    """Structs as dicts of their fields (array-like ones too), octets as hex."""
    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _message_difference(
    index: int, wanted: Message | None, got: Message | None, fields: tuple[FieldDifference, ...]
) -> MessageDifference:
    return MessageDifference(
        index=index,
        reference=MISSING if wanted is None else _name(wanted),
        candidate=MISSING if got is None else _name(got),
        fields=fields[:LISTED],
    )


def _name(message: Message) -> str:
    header = message.header
    kind = getattr(message.payload, "message", message.topic.name)
    return f"{kind} {header.source}#{header.seq} at {header.publish_ns}"


def _json(value: Any) -> str:
    return value if value is MISSING else msgspec.json.encode(value).decode()


def _text(compared: TopicComparison) -> str:
    if compared.equal:
        return f"{compared.topic}: {compared.reference} messages, all the same"
    first = compared.first
    assert first is not None
    lines = [
        f"{compared.topic}: {compared.different} of {compared.reference} messages differ "
        f"(candidate has {compared.candidate})",
        f"  first: message {first.index}: {first.reference} / {first.candidate}",
    ]
    lines += [f"    {f.field}: {f.reference} → {f.candidate}" for f in first.fields]
    return "\n".join(lines)
