"""Decision-based attacks: they use the predicted class alone."""
