"""The tasks, a file each behind one protocol."""
