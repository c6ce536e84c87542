"""Network headers before a message frame."""
