"""The published files: written, read, explained, verified."""
