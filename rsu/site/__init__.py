"""Where we stand: geodesy, and the lanes and zones of the site. Knows nothing of configuration."""
