"""What recipes add to the loss: a penalty on feature maps, and the targets that it pulls towards."""
