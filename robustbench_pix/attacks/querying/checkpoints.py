"""Numbers of queries at which the best distance so far is recorded, and the names of these columns."""

CHECKPOINTS = (*(count * 10**power for power in range(1, 5) for count in (1, 2, 3, 5, 7)), 10**5)
"""From 10 to 100,000."""

DISTANCE_AT = "distance_at_"
"""Prefix of a number of queries: the best distance until then, in the norm of the attack."""
