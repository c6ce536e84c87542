"""Road events: from sightings of a moment to events with a life of their own."""
