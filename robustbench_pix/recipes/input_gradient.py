"""The recipe ``input-gradient``: a small derivative of the loss by the image.

Drucker and LeCun 1992 ("Improving generalization performance using double backpropagation"); Ross and Doshi-Velez 2018
(arXiv 1711.09404, equation 4).
"""

import torch
from torch import Tensor
from torch.nn import functional

from robustbench_pix.recipes.contract import Recipe, Step


class InputGradient(Recipe):
    """The mean over images of the squared L2 norm of the derivative of the cross-entropy by the image.

    The derivative is that of the training step's own forward pass, so in a network with BatchNorm images of a batch
    take part in each other's derivative.
    """

    double_backward = True

    def penalty(self, step: Step) -> Tensor:
        """Return (1 / B) sum_i ||d l_i / d x_i||^2."""
        loss = functional.cross_entropy(step.logits, step.targets, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, step.images, create_graph=True)
        return gradient.square().sum() / len(step.targets)
