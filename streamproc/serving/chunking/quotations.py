"""Telling whether what follows a quoted sentence says whose it is, and belongs to it."""

from __future__ import annotations

import re

_SAID = (
    "says|said|asks|asked|repl(?:y|ies|ied)|answer(?:s|ed)|cr(?:y|ies|ied)|shout(?:s|ed)|"
    "yell(?:s|ed)|whisper(?:s|ed)|add(?:s|ed)|told|tells|exclaim(?:s|ed)|continue[sd]|"
    "explain(?:s|ed)|mutter(?:s|ed)|murmur(?:s|ed)|call(?:s|ed)|wrote|writes|thought|demand(?:s|ed)|"
    "sag(?:t|te|ten)|frag(?:t|te|ten)|ruft|rief|riefen|antwortete|meint|meinte|erwiderte|schrie|"
    "flüsterte|schrieb|"
    "dit|disait|demand[ae]|répond|répondit|cri[ae]|s'écria|"
    "dice|dijo|pregunt[aó]|respond(?:e|ió)|grit[aó]|"
    "disse|chies[ea]|rispose|perguntou|respondeu|gritou|"
    "zei|vroeg|antwoordde|riep|сказал[аи]?|спросил[аи]?|ответил[аи]?|крикнул[аи]?"
)
# One to three words, and then one of these: "Mary Ann said".
_REPORTED = re.compile(rf"(?:[^\W\d_][\w'’.-]*\s+){{0,3}}(?:{_SAID})\b", re.IGNORECASE)
_REPORTED_WITHOUT_SPACES = re.compile(
    r"(?:って|と|など|という)|[^\s。！？｡，、；：,「」『』“”\"]{0,8}?[说說道问問喊叫答笑想曰嚷]"
)
_MARKS_OF_QUOTATIONS = "\"'“”‘’«»‹›」』"


def is_quoted(closers: str) -> bool:
    """Whether a quotation ends among the marks behind a full stop."""
    return any(mark in _MARKS_OF_QUOTATIONS for mark in closers)


def is_reported(text: str, place: int) -> bool:
    """Whether what stands at `place`, behind a quotation, says who said it."""
    return bool(_REPORTED.match(text, place) or _REPORTED_WITHOUT_SPACES.match(text, place))
