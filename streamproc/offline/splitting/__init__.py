"""Cutting a model into stages by its layers, each an ONNX file of its own."""
