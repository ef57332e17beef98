"""Training, export and quantisation of members; the only package that imports torch."""
