"""The 15 corruptions of CIFAR-10-C (Hendrycks, Dietterich 2019, arXiv 1903.12261), made from their definitions.

The numbers are those of the authors' make_cifar_c.py. Ours are, each said where it is done: what ImageMagick and
photographs did there, sizes other than 32x32 pixels, and that images are not cut to 8 bits afterwards. Glass blur,
frost and elastic transform do not move images further with every severity: the published numbers do not.
"""
