"""NLP on Kafka event streams: chunked, batched, ensembled ONNX inference with Faust agents."""

__version__ = "0.1.0"
