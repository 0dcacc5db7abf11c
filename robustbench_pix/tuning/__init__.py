"""The search of a recipe's parameters on validation images, by one rule and one budget for every recipe."""
