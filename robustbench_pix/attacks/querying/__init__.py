"""The queried model and its query log."""
