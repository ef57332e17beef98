"""Who may ask a gateway, how much, and from which pages."""
