"""Each sign of masked gradients by itself: which images it counts, and from how many on it shows."""

import pandas as pd
import pytest

from robustbench_pix.results.masking import RESTARTS, signs, verdict

IMAGES = 60
BROKEN = [*RESTARTS, "few_steps", "larger", "unbounded", "square", "transfer"]
SOUND = dict.fromkeys(BROKEN, True) | {"changing": False, "zero_gradient": False, "flat": False, "uphill": True}
WITHSTOOD = dict.fromkeys([*RESTARTS, "few_steps", "square", "transfer"], False)
CASES = [
    ("black box beats white box", WITHSTOOD | {"square": True}, 6),
    ("transfer beats white box", WITHSTOOD | {"transfer": True}, 6),
    ("more steps do worse", WITHSTOOD | {"few_steps": True}, 3),
    ("a larger radius does worse", {"larger": False}, 3),
    ("accuracy stays above 0 without bound", {"unbounded": False}, 3),
    ("restarts disagree", {"restart_2": False}, 15),
    ("there is no gradient", {"zero_gradient": True}, 3),
    ("the loss is flat around the image", {"flat": True}, 3),
    ("the gradient does not point uphill", {"uphill": False}, 15),
    ("answers change when asked again", {"changing": True}, 3),
]


def evidence(changed, images):
    """Return the evidence of a sound model in which so many images are otherwise."""
    table = pd.DataFrame([SOUND] * IMAGES)
    for name, value in changed.items():
        table.loc[: images - 1, name] = value
    return table.astype(bool)


def test_every_sign_has_a_case_and_a_sound_model_shows_none():
    found = signs(evidence({}, 0))
    assert [sign.question for sign in found] == [question for question, _, _ in CASES]
    assert [sign.images for sign in found] == [0] * len(found)
    assert verdict(evidence({}, 0)) == "sound"


@pytest.mark.parametrize(("question", "changed", "allowed"), CASES, ids=[case[0] for case in CASES])
def test_a_sign_shows_on_more_images_than_may_and_no_other_does(question, changed, allowed):
    for images, shows in ((allowed, False), (allowed + 1, True)):
        found = {sign.question: sign for sign in signs(evidence(changed, images))}
        assert (found[question].images, found[question].of, found[question].allowed) == (images, IMAGES, allowed)
        assert [name for name, sign in found.items() if sign.shows] == [question] * shows
        assert verdict(evidence(changed, images)).startswith(f"masked: {images} of 60 images" if shows else "sound")


def test_images_that_withstand_everything_are_no_sign():
    assert verdict(evidence(WITHSTOOD, IMAGES)) == "sound"


def test_one_image_proves_nothing():
    assert verdict(evidence({"flat": True}, 1).head(5)) == "sound"
