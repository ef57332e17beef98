"""Simulated users: requests at a rate or from users who think, and what came of them."""
