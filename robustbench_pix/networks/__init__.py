"""Networks that give their feature maps; input scaling is part of a network."""
