"""Files of rows as users have them: JSON Lines, JSON, CSV, TSV, lines of text."""
