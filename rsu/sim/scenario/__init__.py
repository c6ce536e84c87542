"""Scenarios: what happens in the simulated world and when, and what must be reported of it."""
