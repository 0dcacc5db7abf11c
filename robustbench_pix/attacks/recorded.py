"""Constants of the records of an evaluation that tables need too; imports no torch."""

CHECKPOINTS = (*(count * 10**power for power in range(1, 5) for count in (1, 2, 3, 5, 7)), 10**5)
"""Numbers of queries, from 10 to 100,000, at which the best distance so far is recorded."""

DISTANCE_AT = "distance_at_"
"""Prefix of a number of queries: the best distance until then, in the norm of the attack."""

NO_ANSWER = -1
"""The class where a logit is not finite. No image has this label, so such a prediction is never correct."""

INFLATION_IMAGES = 16
"""Largest number of images of a model whose smallest distances are searched."""
