"""The truth: roads, signals, traffic, walkers, weather, stepped together from one seed."""
