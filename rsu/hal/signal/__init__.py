"""Signal controllers: drivers that hear or ask what lights show, and give `SignalState`."""
