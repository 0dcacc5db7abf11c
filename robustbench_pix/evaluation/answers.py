"""Constants of evaluations that tables need too; imports no torch."""

NO_ANSWER = -1
"""The class where a logit is not finite. No image has this label, so such a prediction is never correct."""

INFLATION_IMAGES = 16
"""Largest number of images of a model whose smallest distances are searched."""
