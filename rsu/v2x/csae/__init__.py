"""Messages of the Chinese sets (T/CSAE, YD/T): units, participants, content."""
