"""The 15 corruptions of CIFAR-10-C (Hendrycks, Dietterich 2019, arXiv 1903.12261), made from their definitions.

The parameters are those of the authors' make_cifar_c.py. Differences are documented where they occur: the replacements
of ImageMagick and of photographs, sizes other than 32x32 pixels, and no rounding to 8 bits. The perturbation norms of
glass blur, frost and elastic transform do not grow with every severity, as with the published parameters.
"""
