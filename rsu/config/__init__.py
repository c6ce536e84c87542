"""The site file: pydantic models (one file per section), YAML loader, cross-checks, JSON Schema."""
