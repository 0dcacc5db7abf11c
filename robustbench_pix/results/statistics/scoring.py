"""The mean AUC of a suite: attacks are grouped by threat model, so that three noises do not count three times."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from robustbench_pix.catalogue.specs import NO_ACCESS


class Threat(NamedTuple):
    """What an attack may see, and what its strength means: those of ``measurements.csv``."""

    access: str
    strength_kind: str


def attack_weights(auc: pd.DataFrame, threats: Mapping[str, Threat]) -> pd.DataFrame:
    """Return the weight of each attack in the mean AUC of each seed; the weights of a seed add up to 1.

    The mean AUC is over threat groups, one for each access. In the group without access every attack counts the same:
    nobody chooses among noises. An adversary takes the attack that works best, so that within each other group only the
    attack with the lowest AUC counts, of each kind of strength by itself (an l2 and a linf distance cannot be
    compared), and these kinds count the same. Where two attacks tie, the first counts.

    Args:
        auc: of the accuracy under attack, a row a seed, a column an attack; no NaN.
        threats: of every attack among the columns.
    """
    if auc.empty:  # an attack that nobody measured has no threat model
        return pd.DataFrame(0.0, index=auc.index, columns=auc.columns)
    groups = list(dict.fromkeys(threats[attack].access for attack in auc.columns))
    weights = pd.DataFrame(0.0, index=auc.index, columns=auc.columns)
    for access in groups:
        attacks = [attack for attack in auc.columns if threats[attack].access == access]
        if access == NO_ACCESS:
            weights[attacks] = 1 / len(groups) / len(attacks)
            continue
        kinds = list(dict.fromkeys(threats[attack].strength_kind for attack in attacks))
        for kind in kinds:
            rivals = [attack for attack in attacks if threats[attack].strength_kind == kind]
            lowest = auc[rivals].to_numpy(float).argmin(axis=1)
            share = np.eye(len(rivals))[lowest] / len(groups) / len(kinds)
            weights[rivals] = share.reshape(len(auc), len(rivals))
    return weights


def mean_aucs(auc: pd.DataFrame, threats: Mapping[str, Threat]) -> "pd.Series[float]":
    """Return the mean AUC of each seed that has every attack: the AUC of its attacks, weighted by ``attack_weights``.

    Args:
        auc: of the accuracy under attack, a row a seed, a column an attack; NaN where it was not measured.
        threats: of every attack that was measured.
    """
    complete = auc.dropna()
    if complete.empty:
        return pd.Series(dtype=float, index=complete.index[:0])
    return (complete * attack_weights(complete, threats)).sum(axis="columns")
