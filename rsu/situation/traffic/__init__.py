"""Traffic state: what is counted and measured on lanes, told per second, period and cycle."""
