"""A page that shows one text, as those of reports do."""
