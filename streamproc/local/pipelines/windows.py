"""Windows of another size than the manifest's, as `stride`, `doc_stride` and the like ask for."""

from __future__ import annotations

from typing import Any

from streamproc.errors import SettingsError
from streamproc.local.pipelines.keywords import whole
from streamproc.repository.manifest import Manifest
from streamproc.serving.chunking.windows import Window

# As in a manifest.
_LEAST_TOKENS = 8


def window_of(
    manifest: Manifest, longest: tuple[str, Any], overlap: tuple[str, Any]
) -> Window | None:
    """The windows that a call asks for; None: those of the manifest.

    longest, overlap: the keyword's name, and what it says in tokens; None: as the manifest
    Raises SettingsError.
    """
    section = manifest.window
    (longest_name, max_tokens), (overlap_name, overlap_tokens) = longest, overlap
    if max_tokens is None and overlap_tokens is None:
        return None
    most = section.max_tokens
    max_tokens = whole(longest_name, most if max_tokens is None else max_tokens, _LEAST_TOKENS)
    if max_tokens > most:
        raise SettingsError(
            f"{longest_name}={max_tokens}: a window of {manifest.name} has {most} tokens at most"
        )
    if overlap_tokens is None:
        overlap_tokens = min(section.overlap_tokens, max_tokens // 2)
    overlap_tokens = whole(overlap_name, overlap_tokens, 0)
    if overlap_tokens > max_tokens // 2:
        raise SettingsError(
            f"{overlap_name}={overlap_tokens}: windows of {max_tokens} tokens overlap by "
            f"{max_tokens // 2} at most"
        )
    return Window(max_tokens, overlap_tokens)
