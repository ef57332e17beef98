"""Models made elsewhere become members of an ensemble: read, adapted, tried out, placed."""
