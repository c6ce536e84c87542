"""MAP messages and the site's lanes: a site map in, message values out, and back (docs/map.md)."""
