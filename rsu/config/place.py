"""Section `site`: which place this is and where its map files lie."""

from pathlib import Path

from pydantic import Field

from rsu.config.base import Identifier, Latitude, Longitude, Options


class OriginOptions(Options):
    """Surveyed origin of the local east-north-up frame, WGS-84."""

    latitude: Latitude = Field(description="WGS-84 latitude, degrees north.")
    longitude: Longitude = Field(description="WGS-84 longitude, degrees east.")
    altitude: float = Field(
        0.0, ge=-409.6, le=6143.9, description="Ellipsoidal height, m (range of DE_Elevation)."
    )


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
