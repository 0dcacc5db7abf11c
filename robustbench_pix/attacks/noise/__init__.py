"""Random noise, without access to the model."""
