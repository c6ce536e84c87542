"""Section `privacy`: what may be seen of people in pictures that leave a camera's process."""

from typing import Self

from pydantic import Field, model_validator

from rsu.config.base import Options, misfit


class PrivacyOptions(Options):
    """Masking of heads and number plates (docs/privacy.md)."""

    mask: bool = Field(
        True, description="Pictures leave with heads and number plates masked. false needs a "
        "reason."
    )  # fmt: skip
    reason: str = Field(
        "", max_length=500, description="Why pictures may leave unmasked; goes to the audit log."
    )

    @model_validator(mode="after")
    def _said_why(self) -> Self:
        if not self.mask and len(self.reason.strip()) < 10:
            why = "pictures may leave unmasked only with a reason: say why in privacy.reason"
            raise misfit(why, "mask")
        return self
