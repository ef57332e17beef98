"""HTML pages that hold all they show: one layout, and the template of whoever reports."""
