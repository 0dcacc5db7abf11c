"""The seal of a text: what it is, and that nothing of the text changes unnoticed."""

import hashlib
import json

import pytest

from robustbench_pix.runs.manifest import sealed, unsealed

CONTENT = {"commit": "é", "files": {"digest": "x", "files": '\n "files": '}, "identity": {"a": [1, 2.5, None]}}


def text_of(values):
    return json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def test_a_seal_is_the_digest_of_the_text_without_it():
    seal = hashlib.sha256(text_of(CONTENT).encode()).hexdigest()
    assert sealed(CONTENT) == text_of({**CONTENT, "digest": seal})
    assert sealed({**CONTENT, "digest": "an older one"}) == sealed(CONTENT)
    assert unsealed(sealed(CONTENT)) == CONTENT


def moved(lines, place):
    (seal,) = [line for line in lines if line.startswith(' "digest"')]
    rest = [line for line in lines if line != seal]
    return [*rest[:place], seal, *rest[place:]]


def test_every_change_of_the_text_is_noticed():
    text, refused = sealed(CONTENT), 0
    lines = text.splitlines(keepends=True)
    changed = [text[:place] + sign + text[place + 1 :] for place in range(len(text)) for sign in ("", "0", " ")]
    changed += [text[:place] + " " + text[place:] for place in range(len(text) + 1)]
    changed += ["".join(moved(lines, place)) for place in range(1, len(lines))]
    changed += [text.replace(' "files": {', ' "digest": "0",\n "files": {'), text.replace(' "c', ' "commit": 1,\n "c')]
    changed += [text_of({"digest": "0"}), text_of({"digest": None, "files": 1})]
    for one in changed:
        if one != text:
            with pytest.raises((ValueError, KeyError), match=r"."):
                unsealed(one)
            refused += 1
    assert refused > 700


def test_a_text_without_a_seal_was_written_by_another_version():
    with pytest.raises(KeyError):
        unsealed(text_of(CONTENT))
