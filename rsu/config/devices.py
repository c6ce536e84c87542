"""What the sections of all self-sending devices share: identity, patience, coming back.

Radars, signal controllers, bay sensors, GNSS and weather stations extend `DeviceOptions`; drivers
that listen to a broker extend `MqttOptions` as well.
"""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from rsu.config.base import Identifier, Options, Positive, misfit
from rsu.config.cameras import ReconnectOptions
from rsu.config.uplink import TlsOptions

Port = Annotated[int, Field(ge=1, le=65535)]

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class DeviceOptions(Options):
    """Base of every self-sending device's option model."""

    id: Identifier
    late_s: Positive = Field(
        1.0, description="Nothing usable for this long, s: the device is `late`."
    )
    reconnect: ReconnectOptions = ReconnectOptions()

    @model_validator(mode="after")
    def _waits_grow(self) -> Self:
        if self.reconnect.first_s > self.reconnect.longest_s:
            raise misfit("is longer than longest_s", "reconnect", "first_s")
        return self


class MqttOptions(DeviceOptions):
    """A device, or a gateway to many, that publishes to an MQTT broker."""

    host: str = Field(min_length=1, description="Name or address of the broker.")
    port: Port = 1883
    topic: str = Field(
        min_length=1, max_length=1024, description="Topic filter to subscribe to; + and # as usual."
    )
    qos: int = Field(1, ge=0, le=1, description="Quality of service asked for.")
    client_id: str | None = Field(None, description="Default: rsu-<site id>-<device id>.")
    username: str | None = None
    password_file: Path | None = Field(None, description="File with the password.")
    tls: TlsOptions | None = Field(None, description="None: plain TCP, for a broker on this box.")
    keepalive_s: int = Field(15, ge=5, le=300, description="s (10–15: a half-open link is seen).")

    @model_validator(mode="after")
    def _reads_its_topic(self) -> Self:
        *above, last = self.topic.split("/")
        if any("#" in level for level in above) or ("#" in last and last != "#"):
            raise misfit("# stands alone and last in a topic filter", "topic")
        if any("+" in level and level != "+" for level in (*above, last)):
            raise misfit("+ stands for one whole level of a topic filter", "topic")
        return self

    @model_validator(mode="after")
    def _no_password_in_clear(self) -> Self:
        if self.password_file and not self.tls and self.host not in LOOPBACK:
            raise misfit("needs tls: it would cross the network readable", "password_file")
        return self
