"""ONNX sessions, execution providers, fan-out of batches over the members of an ensemble."""
