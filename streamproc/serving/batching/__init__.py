"""Chunks of many requests, grouped by length into batches of bounded cost."""
