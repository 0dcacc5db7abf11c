"""Score-based attacks: they use the logits, without gradients."""
