"""What people are told: gate, comparison, leaderboard, report, provenance, a look at new photos."""
