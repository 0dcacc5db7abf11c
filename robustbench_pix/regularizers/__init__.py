"""Regularizers: penalties on feature maps, and the targets of similarity."""
