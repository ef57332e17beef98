"""The HTTP gateway: any HTTP client reaches the workers through Kafka."""
