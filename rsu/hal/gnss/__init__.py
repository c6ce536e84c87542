"""GNSS receivers: drivers and the decoders of NMEA 0183 and of gpsd."""
