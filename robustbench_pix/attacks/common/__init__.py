"""Tools that several attacks share: norms and balls, Philox noise and losses."""
