"""All that turns a text into an answer."""
