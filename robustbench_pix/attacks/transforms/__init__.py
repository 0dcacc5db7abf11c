"""Geometric and photometric transforms that people see through, without access to the model."""
