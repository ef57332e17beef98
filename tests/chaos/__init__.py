"""Every fault that a Kafka platform has, tried on running workers: `make chaos`."""
