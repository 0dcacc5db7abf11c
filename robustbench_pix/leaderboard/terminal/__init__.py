"""The leaderboard in a terminal."""
