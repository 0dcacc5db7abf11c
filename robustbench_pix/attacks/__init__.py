"""Ways to perturb images: our own, and any of foolbox and the Adversarial Robustness Toolbox, behind one contract."""
