"""Many members' scores into one better score. Arrays in, arrays out."""
