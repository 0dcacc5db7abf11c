"""Remarks of rows, each said once with the recipes that it is about."""

import pandas as pd

from robustbench_pix.leaderboard.captions import remarks


def test_remarks_of_a_note_are_split_and_equal_ones_are_said_once():
    notes = {
        "adversarial": "gaussian: trained on this attack; not tuned here; missing: gaussian (seed 1)",
        "pixel": "not tuned here",
        "unregularized": "",
    }
    rows = pd.DataFrame({"recipe": list(notes), "status": "complete", "note": list(notes.values())})
    assert remarks(rows) == [
        ("adversarial", "gaussian: trained on this attack"),
        ("adversarial, pixel", "not tuned here"),
        ("adversarial", "missing: gaussian (seed 1)"),
    ]
