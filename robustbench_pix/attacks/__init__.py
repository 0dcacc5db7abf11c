"""Attacks: their contract, one room for each kind, and the adapters of attack libraries."""
