"""One model under one attack: what came out of each image, judged here and by no engine."""
