"""Models on disk: layout, manifest, digests, verification."""
