"""The topics and routes as an AsyncAPI document, for people and for generators of clients."""
