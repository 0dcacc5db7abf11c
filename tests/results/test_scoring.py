"""Weights of attacks in the score, against sums written out by hand."""

import numpy as np
import pandas as pd
import pytest

from robustbench_pix.results.statistics.measured import Threat, attack_weights, mean_aucs

THREATS = {
    "gaussian": Threat("none", "sigma"),
    "uniform": Threat("none", "half-width"),
    "fgsm": Threat("transfer", "linf"),
    "pgd": Threat("transfer", "linf"),
    "square-l2": Threat("scores", "l2"),
    "square-linf": Threat("scores", "linf"),
}
AUC = pd.DataFrame(
    [[0.9, 0.7, 0.5, 0.4, 0.3, 0.2], [0.8, 0.6, 0.1, 0.3, 0.5, 0.5]], index=[0, 4], columns=list(THREATS)
)


def test_a_score_is_the_mean_over_threat_groups() -> None:
    first = ((0.9 + 0.7) / 2 + 0.4 + (0.3 + 0.2) / 2) / 3
    second = ((0.8 + 0.6) / 2 + 0.1 + (0.5 + 0.5) / 2) / 3
    np.testing.assert_allclose(mean_aucs(AUC, THREATS), [first, second], rtol=1e-12)


def test_weights_of_a_seed_add_up_to_one() -> None:
    weights = attack_weights(AUC, THREATS)
    np.testing.assert_allclose(weights.sum(axis="columns"), 1, rtol=1e-12)
    assert (weights["fgsm"] > 0).tolist() == [False, True]


def test_a_further_noise_moves_no_weight_between_groups() -> None:
    with_third = AUC.assign(shot=0.0)
    weights = attack_weights(with_third, {**THREATS, "shot": Threat("none", "share")})
    assert weights[["gaussian", "uniform", "shot"]].sum(axis="columns").tolist() == pytest.approx([1 / 3, 1 / 3])
    assert weights["pgd"].tolist() == pytest.approx([1 / 3, 0])


def test_a_weaker_attack_in_a_group_does_not_raise_the_score() -> None:
    weaker = AUC.assign(weak=0.95)
    with_weaker = mean_aucs(weaker, {**THREATS, "weak": Threat("transfer", "linf")})
    np.testing.assert_allclose(with_weaker, mean_aucs(AUC, THREATS), rtol=1e-12)


def test_a_seed_that_lacks_an_attack_has_no_score() -> None:
    assert mean_aucs(AUC.assign(pgd=[np.nan, 0.2]), THREATS).index.tolist() == [4]


def test_without_a_complete_seed_or_any_attack_there_is_no_score() -> None:
    for empty in (AUC.assign(pgd=np.nan, new=np.nan), AUC[[]]):
        assert mean_aucs(empty, THREATS).empty
