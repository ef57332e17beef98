"""What goes wrong: a class each, which does it and returns once it is over."""
