"""What travels through Kafka: records, requests, responses, dead letters. No I/O."""
