"""Part `priority` of section `situation`: who may have the signals (docs/priority.md)."""

from typing import Literal

from pydantic import Field

from rsu.config.base import NonNegative, Options, Positive


class LongestOptions(Options):
    """Longest that one request is favoured (assumed: two cycles, one cycle)."""

    emergency: Positive = Field(120.0, description="s.")
    transit: Positive = Field(60.0, description="s.")

    def of(self, level: str) -> float:
        """Of a level, s."""
        return self.emergency if level == "emergency" else self.transit


class PriorityOptions(Options):
    """Requests for signal priority: whether and how they are granted."""

    enabled: bool = True
    grant: tuple[Literal["emergency", "transit"], ...] = Field(
        ("emergency", "transit"), description="Who may be favoured; empty: requests are refused."
    )
    horizon_s: Positive = Field(
        30.0, le=120.0, description="A request is granted once its vehicle is this near, s: about "
        "half a cycle."
    )  # fmt: skip
    hold_s: Positive = Field(
        3.5, le=30.0, description="A request not heard again for this long is over, s: three "
        "repetitions at 1 Hz and one lost."
    )  # fmt: skip
    unseen_s: Positive = Field(
        2.0, le=10.0, description="A vehicle whose track is lost for this long has priority no "
        "longer, s."
    )  # fmt: skip
    hidden_s: Positive = Field(
        30.0, le=120.0, description="Nor one whose track has rested on radio alone this long, s "
        "(in a queue behind a truck)."
    )  # fmt: skip
    near_m: Positive = Field(
        4.0, description="A vehicle is where it says it is within this and 3 σ, m (half a car)."
    )
    arrival_s: Positive = Field(
        5.0, description="Where it does not say where it is: how far the stated arrival and that "
        "of a vehicle seen on its lane may differ, s."
    )  # fmt: skip
    longest_s: LongestOptions = LongestOptions()
    reservice_s: NonNegative = Field(
        60.0, description="After a bus the next one is favoured only this much later, s: one "
        "cycle for the others (assumed)."
    )  # fmt: skip
    requests_max: int = Field(
        2, ge=1, le=8, description="Open requests of one vehicle: one it has and one it changes to."
    )
