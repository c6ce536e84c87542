"""What radios heard: datagrams to messages, messages to facts. `stage` is the entry."""
