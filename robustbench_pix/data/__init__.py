"""Data sets as uint8 tensors with a digest, their splits, and augmentation by indexing."""
