"""Tools that several attacks share: norms and balls, keyed noise, the cosine transform, losses, a cache of tensors."""
