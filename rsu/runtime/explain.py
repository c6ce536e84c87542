"""Why something was (not) said, from a recording: decisions, and the frames that did mention it.

In: a recording and a subject such as `track:17`, `message:RSM` or `sensor:north`. Out: decisions in
time order; a V2X frame that carried the track counts as a SENT decision of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rsu.schema.health import Decision, Verdict
from rsu.schema.message import Message
from rsu.schema.topics import DECISION, V2X_TX

REASONS: dict[str, str] = {
    "above_horizon": "the lower edge of the box sees no road",
    "beyond_range": "farther from the camera than max_range",
    "cut_by_border": "the box reaches across the image: no edge is the object's own",
    "outside_lens_model": "the distortion model does not hold at this pixel",
    "behind_camera": "no body that fits the box lies in front of the camera",
    "position_uncertain": "1 σ of the position is above 10 m, which says nothing",
    "class_not_wanted": "not among the camera's classes",
    "image_size": "the frame's aspect is not the calibration's",
    "capture_in_future": "captured later than now: a clock is wrong",
    "capture_too_old": "captured more than 10 s ago",
    "too_late": "captured before the out-of-sequence window",
    "too_many_sensors": "more sensors than one site can have",
    "too_many_measurements": "more detections in one message than are taken",
    "not_finite": "a number that is no number",
    "position_out_of_range": "a position that no sensor of this site can see",
    "velocity_out_of_range": "a speed that no road user has",
    "covariance_not_positive": "a covariance that is none",
    "covariance_too_large": "a covariance that says nothing",
    "max_tracks": "no room for another track",
    "clock_set_back": "the clock went back: tracks begin anew",
    "existence_low": "the track ended: it is probably not there any more",
    "existence_doubtful": "the track is kept but not told: it may not be there",
    "calibration_doubtful": "two sensors put the same things in different places",
    "calibration_consistent": "two sensors agree again on where things are",
    "clock_doubtful": "two sensors stamp the same things at different times",
    "clock_consistent": "two sensors agree again on when things were",
    "coast_expired": "the track ended: nobody has seen it for coast_s",
    "merged": "the track ended: it was the same object as another",
    "undecodable": "no message of the configured set",
    "ambiguous": "a datagram that can be read in more than one way",
    "profile_unknown": "no message set is configured for such frames",
    "own_echo": "our own words come back",
    "hearsay": "a neighbour has only heard of it, it does not see it",
    "too_old": "a state older than max_age_s when heard",
    "from_future": "a state later than its hearing: a clock is wrong",
    "far_away": "a road user beyond range_m",
    "position_unstated": "a road user without a position",
    "time_unstated": "a state without a time",
    "accuracy_unstated": "a position without an accuracy",
    "rate_exceeded": "more messages than a sender or radio may bring",
    "too_many_senders": "more senders than are followed at once",
    "unverified": "nobody vouches for the sender, and use_unverified is off",
    "not_for_us": "asks for nothing of this intersection's signals",
    "too_many_messages": "more messages heard than can wait",
    "granted": "said: the controller shows what was commanded for a request",
    "commanded": "the controller has been told, and has not shown it yet",
    "others_first": "somebody with another green comes first",
    "requester_unseen": "none of our own sensors sees who asks",
    "too_early": "who asks is farther away than horizon_s",
    "max_presence": "one request has been favoured for longest_s",
    "reservice_locked": "another bus was favoured less than reservice_s ago",
    "not_entitled": "neither an emergency vehicle nor a bus",
    "class_contradicts": "our sensors see something else than what it says it is",
    "arrival_implausible": "an arrival in the past, or far in the future",
    "lane_unknown": "the request names no entry lane of this site",
    "no_way": "the lane does not lead where the request wants to go",
    "no_signal": "no light governs the way",
    "way_ambiguous": "more than one light might govern the way",
    "controller_cannot": "the signal controller takes no commands",
    "controller_not_automatic": "the controller is in manual, flashing, stopped or off",
    "group_unknown": "the controller does not have the group of that way",
    "passed": "who asked is over the stop line",
    "cancelled": "the request was taken back",
    "request_expired": "the request has not been heard for hold_s",
    "duplicate": "the same request again",
    "out_of_order": "older than the last request of that number",
    "nothing_to_cancel": "takes back what is not open",
    "too_many_requests": "more open requests than one vehicle, or all, may have",
    "clock_unsynchronised": "the clock is not known to be right",
    "perception_silent": "a statement was due but nobody has looked lately",
    "rate_bound": "faster than the message's highest rate",
    "evidence_stale": "last measured longer ago than max_evidence_age_s",
    "evidence_from_future": "measured later than now: a clock has been stepped",
    "not_confirmed": "existence below 0.5",
    "out_of_range": "position, speed or size that the message cannot carry",
    "no_free_number": "all 255 participant numbers are held or rest",
    "encode_failed": "the encoder refused the value: a fault of the program",
    "degraded": "the unit perceives too little for this message (withhold_when)",
    "no_place": "more road users than this cycle's frames hold: its turn comes later",
    "too_large": "one statement alone is longer than a packet",
    "controller_silent": "the signal controller has not spoken for max_evidence_age_s",
    "superseded": "an older word of the controller came after a newer one",
    "too_many_controllers": "more signal controllers than one message names",
    "no_code": "the event has no code in this message set",
    "too_many_events": "more events at once than are told: the oldest went",
    "not_relayed": "a centre's message of a kind that this unit does not send on",
    "too_many_pushed": "more of a centre's messages than are kept on the air",
    "expired": "the time of a centre's message is over",
    "load_shed": "the unit does less so that what it says stays fresh",
    "load_restored": "the unit does again what it had left out",
    "road_users": "said, with road users",
    "nobody_seen": "said: the unit alone, nobody seen",
    "signal_state": "said: what the signal controller says",
    "events": "said, with road events",
    "signs": "said: the site's traffic signs",
    "standing": "said: what stands while the unit runs",
    "state": "said: the newest state of something",
    "corrections": "said: GNSS corrections passed on",
    "pushed": "said: a centre's message, bit for bit",
    "in_frame": "the track was in this frame",
}
"""Meaning of every reason code; docs/decisions.md is the same list for readers."""


def decisions_about(recording: Path, subject: str) -> Iterator[Decision]:
    """Decisions about `subject` ("" for all) in a recording, consecutive repeats merged."""
    from rsu.recording.reader import read_messages

    pending: Decision | None = None
    for message in read_messages(recording, (DECISION, V2X_TX), allow_unfinished=True):
        for decision in _decisions_in(message, subject):
            if pending is not None and _same(pending, decision):
                pending = _merged(pending, decision)
                continue
            if pending is not None:
                yield pending
            pending = decision
    if pending is not None:
        yield pending


def _decisions_in(message: Message, subject: str) -> Iterator[Decision]:
    if message.topic == DECISION:
        if subject in ("", message.payload.subject):
            yield message.payload
        return
    if message.topic != V2X_TX:
        return
    frame = message.payload
    if subject in {f"track:{track}" for track in frame.subjects}:
        yield Decision(
            stage=message.header.source,
            subject=subject,
            verdict=Verdict.SENT,
            reason="in_frame",
            time_ns=message.header.publish_ns,
            detail=f"{frame.message}, evidence "
            f"{(message.header.publish_ns - message.header.capture_ns) / 1e6:.0f} ms old at most",
        )


def _same(one: Decision, other: Decision) -> bool:
    return (one.subject, one.verdict, one.reason) == (other.subject, other.verdict, other.reason)


def _merged(one: Decision, other: Decision) -> Decision:
    return Decision(
        stage=one.stage,
        subject=one.subject,
        verdict=one.verdict,
        reason=one.reason,
        time_ns=one.time_ns,
        count=one.count + other.count,
        detail=other.detail or one.detail,
    )
