"""Texts that are hard to cut, and windows to cut them by."""

from __future__ import annotations

from hypothesis import strategies as st

from streamproc.serving.chunking.windows import Window

AWKWARD = st.sampled_from(
    [
        *("good", "the film", "unknownword", "a,b", "中文字", "日本語。", "한국어", "ไทย"),
        *("👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪", "e\u0301", "é", "\u0301", "ṩ̇", "ﬁ", "İ", "ß"),
        *("שלום", "مرحبا", "\u202eabc\u202c", "\u200b", "\u200d", "\ufeff", "\u00ad"),
        *(" ", "\t", "\n", "\r\n", "\n\n", "\u00a0", "\u3000", "\u2028", "\x0b", "\x0c", "\x85"),
        *("\x1c", "\x00", "\ufffd", "\U0010ffff", "𝒳"),
    ]
)
TEXTS = st.one_of(st.text(), st.lists(AWKWARD, max_size=60).map("".join))
WINDOWS = st.integers(8, 24).flatmap(
    lambda size: st.builds(Window, st.just(size), st.integers(0, size // 2))
)
