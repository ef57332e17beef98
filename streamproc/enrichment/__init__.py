"""Routes: an event of any shape in, the same event with answers out."""
