"""The way of a request as spans, for those who run an OpenTelemetry SDK beside the worker."""
