"""A leaderboard as a reader meets it: in the terminal, as a picture, and as published files."""
