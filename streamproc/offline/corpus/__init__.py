"""A corpus on disk, and how it is cut into the parts that members are trained on; no torch here."""
