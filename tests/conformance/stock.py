"""foolbox and the Adversarial Robustness Toolbox called plainly, without what our adapters mend."""

import foolbox
import numpy as np
import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from robustbench_pix.attacks.base import FixedStrengthAttack, MinimalDistanceAttack


def foolbox_model(context):
    return foolbox.PyTorchModel(context.model, bounds=(0, 1), device="cpu")


class FoolboxMinimal(MinimalDistanceAttack):
    def __init__(self, attack):
        self.attack = attack

    def minimize(self, context, images, labels, starts, keys):
        return self.attack(foolbox_model(context), images, labels, epsilons=None)[0]


class FoolboxRaw(FixedStrengthAttack):
    """What foolbox returns before it clips."""

    def __init__(self, attack):
        self.attack = attack

    def perturb(self, context, images, labels, strengths, keys):
        for strength in strengths:
            yield images if strength == 0 else self.attack(foolbox_model(context), images, labels, epsilons=strength)[0]


class Art(MinimalDistanceAttack):
    one_by_one = True

    def __init__(self, engine_class, **parameters):
        self.engine_class, self.parameters = engine_class, parameters

    def minimize(self, context, images, labels, starts, keys):
        estimator = PyTorchClassifier(
            context.model, nn.CrossEntropyLoss(), tuple(images.shape[1:]), 4, clip_values=(0.0, 1.0)
        )
        attack = self.engine_class(estimator, verbose=False, **self.parameters)
        one_hot = np.eye(4, dtype=np.float32)[labels.numpy()]
        return torch.from_numpy(np.float32(attack.generate(images.numpy(), y=one_hot)))
