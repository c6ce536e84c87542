"""Security envelopes around messages: reading who signed what and when. Nothing is verified yet."""
