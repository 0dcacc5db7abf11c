"""Training: the same batches for every recipe, and a loop that reads like the paper."""
