"""The kinds of road events: what each is called on the air, and how it begins and ends.

One row per kind. A GB/T 29100-2012 code is its class (thousands and hundreds) and its number
within the class (tens and units), as T/CSAE's `EventType` carries it. Its tables are not public:
only codes that published programs use with the same meaning stand here, and ITIS codes (SAE J2540)
likewise; the rest is None and is not spoken of on the air (`no_code`), docs/events.md says which.
"""

from __future__ import annotations

from rsu.situation.events.book import Rule

CONGESTION = "congestion"
STOPPED = "stopped-vehicle"
PARKED = "illegal-parking"
FIRE_LANE = "fire-lane-blocked"
OBSTACLE = "obstacle"
WRONG_WAY = "wrong-way"
SPEEDING = "speeding"
SLOW = "slow-vehicle"
PEDESTRIAN = "pedestrian-on-carriageway"
RED_LIGHT = "red-light-running"
CRASH = "crash-suspected"
WATER = "water-on-road"
VISIBILITY = "low-visibility"
ICE = "ice"
EMERGENCY = "emergency-vehicle"

# What stands is looked for again after a short occlusion (a bus passes in 5 s); what moves is
# somewhere else by then. `onset_s` is on top of what the detector itself waits for.
RULES: dict[str, Rule] = {
    CONGESTION: Rule(onset_s=0.0, clear_s=20.0, code=707, itis=258, severity=3, unseen_s=60.0),
    STOPPED: Rule(onset_s=0.0, clear_s=2.0, itis=1281, severity=5, unseen_s=20.0),
    PARKED: Rule(onset_s=0.0, clear_s=2.0, itis=1281, severity=4, unseen_s=30.0),
    FIRE_LANE: Rule(onset_s=0.0, clear_s=2.0, severity=5, unseen_s=30.0),
    OBSTACLE: Rule(onset_s=0.5, clear_s=5.0, itis=1282, severity=6, unseen_s=30.0),
    WRONG_WAY: Rule(onset_s=0.0, clear_s=2.0, code=904, itis=1793, severity=7, unseen_s=5.0),
    SPEEDING: Rule(onset_s=0.5, clear_s=2.0, severity=4, unseen_s=3.0),
    SLOW: Rule(onset_s=0.0, clear_s=3.0, itis=2052, severity=3, unseen_s=10.0),
    PEDESTRIAN: Rule(onset_s=0.5, clear_s=2.0, code=405, itis=1286, severity=6, unseen_s=5.0),
    RED_LIGHT: Rule(onset_s=0.0, clear_s=3.0, severity=7, unseen_s=3.0),
    CRASH: Rule(onset_s=0.0, clear_s=5.0, itis=531, severity=7, unseen_s=60.0),
    WATER: Rule(onset_s=0.0, clear_s=0.0, code=407, itis=1301, severity=5, unseen_s=180.0),
    VISIBILITY: Rule(onset_s=0.0, clear_s=0.0, itis=5383, severity=4, unseen_s=180.0),
    ICE: Rule(onset_s=0.0, clear_s=0.0, itis=5906, severity=5, unseen_s=180.0),
    EMERGENCY: Rule(onset_s=0.0, clear_s=3.0, itis=1796, severity=6, unseen_s=5.0),
}
