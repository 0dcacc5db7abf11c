"""What must hold of published results."""
