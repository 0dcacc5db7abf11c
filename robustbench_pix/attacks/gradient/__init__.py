"""Gradient-based attacks, on the attacked model (white-box) or on a source model (transfer)."""
