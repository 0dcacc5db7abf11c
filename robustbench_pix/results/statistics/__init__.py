"""From measurements to what may be said of recipes."""
