"""The page: how workers do, dead letters, and a playground; served by a gateway and by itself."""
