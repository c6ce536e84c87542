"""Bay sensors: drivers and what reads their words."""
