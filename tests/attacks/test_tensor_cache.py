import torch

from robustbench_pix.attacks.base import TensorCache

KILOBYTE = torch.zeros(256)


def test_what_is_kept_is_not_made_again():
    memory, made = TensorCache(4_096), []

    def make():
        made.append(KILOBYTE + len(made))
        return made[-1]

    assert [memory.get_or_compute(key, make)[0].item() for key in ("a", "b", "a", "b", "c")] == [0, 1, 0, 1, 2]


def test_what_was_not_asked_for_the_longest_is_forgotten():
    memory = TensorCache(3 * 1_024)
    for key in ("a", "b", "c", "a", "d"):
        memory.get_or_compute(key, KILOBYTE.clone)
    assert set(memory.kept) == {"a", "c", "d"}
    memory.get_or_compute("e", torch.zeros(512).clone)
    assert set(memory.kept) == {"d", "e"}


def test_what_is_larger_than_the_limit_is_given_and_not_kept():
    memory = TensorCache(1_000)
    assert memory.get_or_compute("a", KILOBYTE.clone).shape == (256,)
    assert not memory.kept
