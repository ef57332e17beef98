"""Experiments in a worker: which arm answers a request, and what is recorded of it."""
