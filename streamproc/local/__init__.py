"""Answers in the process of the one who asks: in a notebook, and on somebody else's cluster."""
