"""How sure it is that bays are occupied: log-odds per bay that evidence moves and time wears down.

In: for each step what the tracks say of every bay, and words of bay sensors as they come. Out: the
probability of being occupied and, with hysteresis, a status. Two witnesses are kept apart and
added: the *view* gathers evidence step by step, a sensor's *word* stands until its next. Both are
forgotten towards even odds: slowly while somebody would notice a change, fast where nobody would.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rsu.schema.parking import BayStatus

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

MOST, MOST_SAID = 5.5, 3.5
"""Largest log-odds of what was seen (0.996) and of a word (0.97). What was seen can be unseen in
seconds; and where the two contradict each other for good, a status is left to what is seen: 2.0 is
0.88, beyond `OCCUPIED_FROM`."""
SURE, WRONG_AFTER_S = 3.0, 20.0
"""A word that what is seen contradicts by these log-odds (0.95) for so long, s, is wrong and counts
no more, until the sensor's next: sensors tell a change some seconds late."""
STEP_S = 0.5
"""s between steps that count as one piece of evidence: a track's errors last longer than that."""
WEIGHT = 0.5
"""Of a step's likelihood ratio. Errors of consecutive steps go together: two make one."""
GHOST = 0.05
"""Chance that a track stands in an empty bay (a neighbour out of place, a ghost, who walks by)."""
SEEN_AT_MOST = 0.95  # however many cameras look: fusion loses a track now and then
SEEN_AT_LEAST = 0.3
"""Chance of a track in an occupied bay where no camera should see it: radars and messages do."""
WATCHED_S = 1200.0
"""s after which belief in a bay whose mouth is watched, but which itself is hidden, has worn to
1/e: now and then somebody slips by. What is seen is renewed far sooner."""
WORD_S = 3600.0
"""s after which a live sensor's word has worn to 1/e: changes that sensors miss."""
OCCUPIED_FROM, OCCUPIED_UNTIL = 0.85, 0.6
FREE_FROM, FREE_UNTIL = 0.15, 0.4
"""Probabilities at which a status begins, and at which it has become unknown."""
_FORGETS = float(np.log(0.5 / (OCCUPIED_UNTIL - 0.5)))
"""Time constants until the surest belief has sunk to `OCCUPIED_UNTIL`: ln 5, about 1.6."""


@dataclass(slots=True)
class _Word:
    """What one sensor said last of one bay."""

    log_odds: float
    mono_ns: int
    worn_ns: int
    contradicted_s: float = 0.0


class Belief:
    """The bays' log-odds, in the order of a `BayGrid`."""

    def __init__(self, count: int, unknown_after_s: float, sensor_max_age_s: float) -> None:
        self._fast_s = unknown_after_s / _FORGETS
        self._word_age_ns = round(sensor_max_age_s * 1e9)
        self.view: Floats = np.zeros(count)
        self._words: dict[tuple[str, int], _Word] = {}
        self._status = [BayStatus.UNKNOWN] * count

    @property
    def probability(self) -> Floats:
        """Of being occupied, (B,)."""
        return np.asarray(1.0 / (1.0 + np.exp(-self._log_odds())))

    def sources(self, row: int) -> tuple[str, ...]:
        """Sensors whose words hold for a bay now."""
        return tuple(
            sensor for (sensor, bay), word in self._words.items() if bay == row and word.log_odds
        )

    def step(self, seconds: float, stands: Floats, found: Floats, watched: Flags) -> None:
        """Take what tracks say: `stands` (B,) chance that one stands in the bay, `found` (B,)
        chance that a car in it would have a track. Both 0 where nobody looks."""
        self.wear(seconds, watched)
        found = np.minimum(found, SEEN_AT_MOST)
        hit = np.maximum(found, SEEN_AT_LEAST)
        occupied = hit * stands + (1.0 - found) * (1.0 - stands)
        free = GHOST * stands + (1.0 - GHOST) * (1.0 - stands)
        # Where nobody would see a car, seeing none is no evidence of there being one.
        ratio = np.where((found > GHOST) | (stands > 0.5), np.log(occupied / free), 0.0)
        steps = min(seconds / STEP_S, 2.0)
        self.add(WEIGHT * steps * ratio)
        for (_, row), word in self._words.items():
            if abs(self.view[row]) < SURE or self.view[row] * word.log_odds >= 0.0:
                word.contradicted_s = 0.0
                continue
            word.contradicted_s += seconds
            if word.contradicted_s > WRONG_AFTER_S:
                word.log_odds = 0.0

    def wear(self, seconds: float, watched: Flags) -> None:
        """Let the view be forgotten."""
        self.view = worn(self.view, seconds, np.where(watched, WATCHED_S, self._fast_s))

    def add(self, log_odds: Floats) -> None:
        """Evidence for (> 0) or against being occupied."""
        self.view = np.clip(self.view + log_odds, -MOST, MOST)

    def left(self, row: int, chance: float) -> None:
        """Somebody left a bay; `chance` that it was this one."""
        occupied = 1.0 / (1.0 + np.exp(-self.view[row])) * (1.0 - chance)
        inside = max(float(occupied), 1e-3)
        self.view[row] = np.clip(np.log(inside / (1.0 - inside)), -MOST, MOST)

    def say(self, sensor: str, row: int, probability: float | None, mono_ns: int) -> None:
        """A sensor's word; None: it does not know."""
        if probability is None:
            self._words.pop((sensor, row), None)
            return
        inside = min(max(probability, 1e-3), 1.0 - 1e-3)
        log_odds = float(np.clip(np.log(inside / (1.0 - inside)), -MOST_SAID, MOST_SAID))
        self._words[sensor, row] = _Word(log_odds, mono_ns, mono_ns)

    def wear_words(self, mono_ns: int, silent: frozenset[str]) -> None:
        """Let words be forgotten: those of `silent` sensors as fast as what nobody watches."""
        for key, word in list(self._words.items()):
            if mono_ns - word.mono_ns > self._word_age_ns:
                del self._words[key]
                continue
            fades_s = self._fast_s if key[0] in silent else WORD_S
            seconds = (mono_ns - word.worn_ns) / 1e9
            word.log_odds = float(worn(np.array([word.log_odds]), seconds, np.array([fades_s]))[0])
            word.worn_ns = mono_ns

    def drop(self, row: int) -> None:
        """Know nothing of a bay any more."""
        self.view[row] = 0.0
        for key in [key for key in self._words if key[1] == row]:
            del self._words[key]

    def statuses(self) -> list[BayStatus]:
        """One per bay, with hysteresis."""
        for row, probability in enumerate(self.probability.tolist()):
            self._status[row] = _status(self._status[row], probability)
        return list(self._status)

    def forget(self) -> None:
        """Know nothing."""
        self.view = np.zeros_like(self.view)
        self._words.clear()

    def _log_odds(self) -> Floats:
        total = self.view.copy()
        for (_, row), word in self._words.items():
            total[row] += word.log_odds
        return total


def worn(log_odds: Floats, seconds: float, time_constant_s: Floats) -> Floats:
    """Log-odds after a time in which the state may have changed unseen: the probability relaxes
    towards one half (a two-state Markov chain with equal rates)."""
    probability = 1.0 / (1.0 + np.exp(-log_odds))
    left = 0.5 + (probability - 0.5) * np.exp(-max(seconds, 0.0) / time_constant_s)
    return np.asarray(np.log(left / (1.0 - left)))


def _status(before: BayStatus, probability: float) -> BayStatus:
    if probability >= OCCUPIED_FROM:
        return BayStatus.OCCUPIED
    if probability <= FREE_FROM:
        return BayStatus.FREE
    if before is BayStatus.OCCUPIED and probability < OCCUPIED_UNTIL:
        return BayStatus.UNKNOWN
    if before is BayStatus.FREE and probability > FREE_UNTIL:
        return BayStatus.UNKNOWN
    return before
