"""From per-image outcomes to measurements, and from measurements to a leaderboard."""
