"""Weather and road sensors: drivers and what reads their words."""
