"""Training: the same batches for every recipe, and the training loop of the paper."""
