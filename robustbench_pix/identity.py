"""Content addresses: the same numbers have the same name, and different numbers never share one."""

import hashlib
import json
from typing import Any

NUMERICS_VERSION = 3
"""Raised with any change of the engine that alters a number; tests/test_golden_numbers.py notices such a change."""

RECORD_VERSION = 3
"""Raised when something else is recorded of an attack: models stand, attacks are made again."""

CHECK_VERSION = 2
"""Raised when the check of gradients gathers other evidence."""

NEAREST_VERSION = 1
"""Raised when the smallest known distances of a model are searched otherwise."""

DIGEST_LENGTH = 16


def canonical_json(value: Any) -> str:
    """Return the one JSON text of a value: keys sorted, no spaces, floats by repr, no NaN.

    >>> canonical_json({"b": 0.1, "a": [1, None]})
    '{"a":[1,null],"b":0.1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of a JSON value.

    >>> digest({"a": 1}) == digest({"a": 1}), digest({"a": 1}) == digest({"a": 2})
    (True, False)
    """
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:DIGEST_LENGTH]
