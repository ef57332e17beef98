"""Cutting a text into chunks that fit a model, losing nothing and knowing where each lies."""
