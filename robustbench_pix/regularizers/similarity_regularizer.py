"""The regularizer ``similarity``: similarities of image pairs are pulled towards a target (equations 1 and 2)."""

import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from robustbench_pix.catalogue.regularizer_parameters import SimilarityParameters
from robustbench_pix.data.preparation import RegularizationData
from robustbench_pix.identity import digest
from robustbench_pix.recipes.contract import RecipeContext, Step
from robustbench_pix.recipes.tools import Tools
from robustbench_pix.regularizers.base import Regularizer
from robustbench_pix.regularizers.held_out import correlation_at, reached_similarity
from robustbench_pix.regularizers.neural import file_digest, neural_recording, neural_similarity
from robustbench_pix.regularizers.responses import neuron_weights
from robustbench_pix.regularizers.similarity import feature_similarity, similarity_loss
from robustbench_pix.regularizers.targets import build_target

RUNNING_MEAN_MOMENTUM = 0.1

logger = logging.getLogger(__name__)


class SimilarityRegularizer(Regularizer):
    """S^CNN is the softmax(gamma)-weighted mean over layers of the cosine similarity of centred feature maps.

    Each layer is centred by a running mean of its channels, r <- 0.9 r + 0.1 m, where m is the mean over the images
    and positions of this step; it starts at 0, is updated before use, and passes no gradient. gamma starts at 0 and
    is trained with the network.
    """

    file_parameters = frozenset({"similarity", "responses", "order"})

    def __init__(self, context: RecipeContext, **parameters: Any) -> None:
        super().__init__(context)
        self.specification = SimilarityParameters(**parameters)
        self.pairs = self.specification.pairs
        self.penalizes = self.specification.target != "none"
        target = build_target(
            RegularizationData(context.images, context.labels, context.recording),
            self.specification,
            seed=context.seed,
            folder=context.folder,
            untrained=context.untrained,
        )
        self.allowed_pairs, self.held_out = target.allowed, target.held_out
        self.tools: Tools | None = None
        self.register_buffer("target", target.values)
        self.layer_logits = nn.Parameter(torch.zeros(len(context.feature_shapes)))
        for layer, shape in enumerate(context.feature_shapes):
            self.register_buffer(f"mean_{layer}", torch.zeros(shape[0]))

    @classmethod
    def lacking(cls, parameters: dict[str, Any], data: RegularizationData) -> str | None:
        """Of labels the target needs some, and of neurons a file or a recording of the images."""
        specification = SimilarityParameters(**parameters)
        named = specification.similarity or specification.responses
        if specification.target == "neural" and not named and data.recording is None:
            return "needs neural responses or similarities: name a file in the recipe (rbp show neural)"
        if specification.target == "labels" and data.labels is None:
            return "needs labels, which this regularization data does not have"
        return None

    @classmethod
    def content(cls, parameters: dict[str, Any], folder: Path | None, data: RegularizationData) -> str | None:
        """Read the neural target's files or recording before training; labels count as they are."""
        specification = SimilarityParameters(**parameters)
        if specification.target == "labels" and data.labels is not None:
            return digest(data.labels.tolist())
        if specification.target != "neural":
            return None
        neural_similarity(specification, folder, len(data.images), data.recording)
        if specification.weights is None:
            recording = neural_recording(specification, folder, data.recording)
            for session in recording.chosen(specification.sessions):
                if session.responses is not None and neuron_weights(session, None) is None:
                    logger.warning("%s: no repeats tell how reliable a neuron is, so all weigh the same.", session.name)
        return file_digest(specification, folder, data.recording)

    def allowed(self) -> Tensor | None:
        """The pairs that an ablation keeps."""
        return self.allowed_pairs

    def begin(self, epoch: int, tools: Tools) -> None:
        """Keep the tools, with which the report compares held-out pairs."""
        self.tools = tools

    def forward(self, step: Step) -> Tensor:
        """Return L_sim of equation 2."""
        centred = [self._centred(layer, *maps) for layer, maps in enumerate(zip(step.first, step.second, strict=True))]
        similarity = feature_similarity([first for first, _ in centred], [second for _, second in centred])
        predicted = torch.softmax(self.layer_logits, dim=0) @ similarity
        return similarity_loss(predicted, self.get_buffer("target")[step.ranks])

    def report(self) -> dict[str, float]:
        """Return the learned weight of each layer, and how well S^CNN agrees with the target where pairs are held out.

        The weights tend to collapse on one layer. ``drawn_correlation`` and ``held_out_correlation`` are Pearson's r
        over the pairs that are drawn and over those that are not.
        """
        weights = torch.softmax(self.layer_logits.detach(), dim=0)
        learned = {f"layer_weight_{layer}": weight for layer, weight in enumerate(weights.tolist())}
        if self.tools is None or self.held_out is None or self.allowed_pairs is None:
            return learned
        centres = [self.get_buffer(f"mean_{layer}") for layer in range(len(weights))]
        reached, target = reached_similarity(self.tools, centres, weights), self.get_buffer("target")
        return {
            **learned,
            "drawn_correlation": correlation_at(reached, target, self.allowed_pairs),
            "held_out_correlation": correlation_at(reached, target, self.held_out),
        }

    def _centred(self, layer: int, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """Return both feature maps minus the updated running mean of their channels."""
        mean = self.get_buffer(f"mean_{layer}")
        with torch.no_grad():
            step_mean = torch.cat([first, second]).mean(dim=(0, 2, 3))
            mean.lerp_(step_mean, RUNNING_MEAN_MOMENTUM)
        centre = mean.clone()[:, None, None]
        return first - centre, second - centre
