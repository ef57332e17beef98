"""Readers of documents, one a format; what they need is imported when they read."""
