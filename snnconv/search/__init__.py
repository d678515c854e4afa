"""The cheapest codes within a loss budget."""
