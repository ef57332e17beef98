"""A pile of rows asked as requests: read, asked many at a time, answered in order, resumable."""
