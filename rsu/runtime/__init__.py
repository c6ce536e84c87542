"""Hosts that run the stages: lock-step in virtual time, or as supervised processes on a bus."""
