"""Evaluation of a model under an attack: every image is judged here, never by an attack."""
