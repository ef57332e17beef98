"""The one place that tries a model out, before anybody relies on what it says."""
