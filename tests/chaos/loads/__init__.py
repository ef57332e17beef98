"""What is sent while faults happen, and what workers need to answer it: a class each."""
