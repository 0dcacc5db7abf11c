"""Recipes: the contract of everything that is added to training, and the recipes that are no similarity penalty."""
