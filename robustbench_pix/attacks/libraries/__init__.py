"""Attacks of foolbox and of the Adversarial Robustness Toolbox, by their class names."""
