"""Each sign of masked gradients by itself: which images it counts, and from how many on it shows."""

import numpy as np
import pandas as pd
import pytest

from robustbench_pix.results.gradient_masking import NEARER, RESTARTS, signs, verdict

IMAGES, ASKED = 60, 15
BROKEN = [*RESTARTS, "few_steps", "larger", "unbounded", "square", "transfer", "square_larger", "transfer_larger"]
SOUND = dict.fromkeys(BROKEN, True) | {"changing": False, "zero_gradient": False, "flat": False, "uphill": True}
WITHSTOOD = dict.fromkeys([*RESTARTS, "few_steps", "square", "transfer"], False)
UNTIL_LARGER = {"larger": False, "square_larger": False, "transfer_larger": False}
CASES = [
    ("black box beats white box", WITHSTOOD | {"square": True}, 6),
    ("transfer beats white box", WITHSTOOD | {"transfer": True}, 6),
    ("more steps do worse", WITHSTOOD | {"few_steps": True}, 3),
    ("a larger radius does worse", UNTIL_LARGER, 3),
    ("accuracy stays above 0 without bound", {"unbounded": False}, 3),
    ("restarts disagree", {"restart_2": False}, 15),
    ("there is no gradient", {"zero_gradient": True}, 3),
    ("the loss is flat around the image", {"flat": True}, 3),
    ("the gradient does not point uphill", {"uphill": False}, 15),
    ("answers change when asked again", {"changing": True}, 3),
    ("decisions lead nearer than gradients", {"by_decisions": 0.99 * NEARER}, 3),
]
AT_LARGER = [
    ("black box beats white box", WITHSTOOD | UNTIL_LARGER | {"square_larger": True}),
    ("transfer beats white box", WITHSTOOD | UNTIL_LARGER | {"transfer_larger": True}),
]


def evidence(changed, images):
    """Return the evidence of a sound model in which so many images are otherwise; 15 were asked by decisions."""
    table = pd.DataFrame([SOUND] * IMAGES)
    table["by_decisions"] = np.where(np.arange(IMAGES) < ASKED, 1.5, np.nan)
    table["by_gradients"] = np.where(np.arange(IMAGES) < ASKED, 1.0, np.nan)
    for name, value in changed.items():
        table.loc[: images - 1, name] = value
    return table


def test_every_sign_has_a_case_and_a_sound_model_shows_none():
    found = signs(evidence({}, 0))
    assert [sign.question for sign in found] == [question for question, _, _ in CASES]
    assert [sign.images for sign in found] == [0] * len(found)
    assert verdict(evidence({}, 0)) == "sound"


@pytest.mark.parametrize(("question", "changed", "allowed"), CASES, ids=[case[0] for case in CASES])
def test_a_sign_shows_on_more_images_than_may_and_no_other_does(question, changed, allowed):
    of = ASKED if "by_decisions" in changed else IMAGES
    for images, shows in ((allowed, False), (allowed + 1, True)):
        found = {sign.question: sign for sign in signs(evidence(changed, images))}
        assert (found[question].images, found[question].of, found[question].allowed) == (images, of, allowed)
        assert [name for name, sign in found.items() if sign.shows] == [question] * shows
        said = verdict(evidence(changed, images))
        assert said.startswith("masked: ") if shows else said == "sound"
        assert (f"{images} of {of} images" in said) == shows


@pytest.mark.parametrize(("question", "changed"), AT_LARGER, ids=[case[0] for case in AT_LARGER])
def test_both_radii_are_looked_at(question, changed):
    """Nothing is fooled at the first radius, and at the second one black boxes alone find something."""
    assert [sign.question for sign in signs(evidence(changed, 7)) if sign.shows] == [question]


def test_where_no_image_has_a_gradient_nothing_else_is_told():
    nothing = WITHSTOOD | UNTIL_LARGER | {"zero_gradient": True, "unbounded": False, "square": True, "uphill": False}
    assert verdict(evidence(nothing, IMAGES)) == "masked: no gradient on 60 of 60 images"


def test_without_an_image_the_check_has_failed():
    assert verdict(evidence({}, 0).head(0)).startswith("failed: the model gets none of the images right")


def test_images_that_withstand_everything_are_no_sign():
    assert verdict(evidence(WITHSTOOD | UNTIL_LARGER, IMAGES)) == "sound"


def test_one_image_proves_nothing():
    assert verdict(evidence({"flat": True}, 1).head(5)) == "sound"
