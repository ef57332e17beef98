"""What is said where a file needs a package that is not installed."""

from __future__ import annotations


def needs_extra(name: str, missing: ModuleNotFoundError) -> str:
    """The sentence; name: of the file."""
    return (
        f"reading {name} needs {missing.name}, which is not installed: pip install "
        '"streamproc[documents]"'
    )
