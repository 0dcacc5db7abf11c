"""What every attack must hold, whatever its engine: properties tried on tiny models and images."""
