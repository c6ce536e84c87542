"""Section `site`: which place this is, where its map files lie, which signs stand there."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from rsu.config.base import Identifier, Latitude, Longitude, Options, UtcTime, misfit


class OriginOptions(Options):
    """Surveyed origin of the local east-north-up frame, WGS-84."""

    latitude: Latitude = Field(description="WGS-84 latitude, degrees north.")
    longitude: Longitude = Field(description="WGS-84 longitude, degrees east.")
    altitude: float = Field(
        0.0, ge=-409.6, le=6143.9, description="Ellipsoidal height, m (range of DE_Elevation)."
    )


class SignOptions(Options):
    """One traffic sign that vehicles are to know of: in the standing RSI, in TIM."""

    id: Identifier
    code: int | None = Field(
        None, ge=0, le=65535, description="GB 5768.2 sign code; none: not said in RSI."
    )
    itis: int | None = Field(
        None, ge=0, le=65535, description="ITIS code (SAE J2540); none: not said in TIM."
    )
    latitude: Latitude
    longitude: Longitude
    lanes: tuple[str, ...] = Field((), max_length=16, description="Lanes it holds for.")
    description: str = Field("", max_length=500, description="What it says, in words.")
    severity: int = Field(0, ge=0, le=7, description="0..7, grows with urgency.")
    from_utc: UtcTime | None = Field(None, description="It holds from then on; none: always.")
    until_utc: UtcTime | None = Field(None, description="It holds until then; none: always.")

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.code is None and self.itis is None:
            raise misfit("is missing, and so is itis: no message could name the sign", "code")
        return self


class PlaceOptions(Options):
    """The place: identity, origin, lanes and zones."""

    id: Identifier = Field(description="Name of the site, used in topics and file names.")
    title: str = Field("", max_length=80, description="Name for people.")
    region: int = Field(0, ge=0, le=65535, description="RoadRegulatorID; 0 is for tests.")
    intersection: int = Field(0, ge=0, le=65535, description="NodeID; 0..255 are for tests.")
    origin: OriginOptions
    lanes: Path | None = Field(
        None, description="GeoJSON file with lanes, relative to the site file (docs/site-map.md)."
    )
    zones: Path | None = Field(
        None, description="GeoJSON file with zones and bays, relative to the site file."
    )
    signs: tuple[SignOptions, ...] = Field(
        (), max_length=128, description="Traffic signs that are told to vehicles."
    )
