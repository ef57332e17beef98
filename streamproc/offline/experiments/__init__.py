"""What an experiment has found: exposures joined with the truth, compared, and reported."""
