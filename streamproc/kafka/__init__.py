"""Kafka: the Faust worker, offsets, the producer, topics as code, dead letters, a client."""
