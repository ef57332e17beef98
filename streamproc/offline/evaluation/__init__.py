"""Measuring ensembles on labelled data: beside their members, and beside each other."""
