"""Conformance tests of attacks: properties checked on tiny models and images."""
