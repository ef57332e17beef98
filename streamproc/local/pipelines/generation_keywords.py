"""What the pipelines that write text share of `generate`'s keywords."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from streamproc.local.pipelines.keywords import NO_EFFECT, Keyword, Only

_TEXT_ALONE = "answers are texts; token ids are not given"
_OWN = "an ensemble's manifest says how it writes ([decoding]), and keywords what is to be other"

WRITING: Final[Mapping[str, Keyword]] = {
    "return_text": Only((True, None), _TEXT_ALONE),
    "return_tensors": Only((False, None), _TEXT_ALONE),
    "return_type": Only((None,), _TEXT_ALONE),
    "generation_config": Only((None,), _OWN),
    "use_cache": NO_EFFECT,
    "pad_token_id": NO_EFFECT,
    "eos_token_id": Only((None,), "a text ends with the end tokens that the manifest names"),
    "stop_sequence": Only(
        (None,), "pass stop=[...]: the text ends before the string, where there it ends behind it"
    ),
    "stop_strings": Only(
        (None,), "pass stop=[...]: the text ends before the string, where there it ends behind it"
    ),
}

TEXT_TO_TEXT: Final[Mapping[str, Keyword]] = {
    **WRITING,
    "do_sample": Only((False, None), "what is written is searched for, not drawn by lot"),
    "num_return_sequences": Only((1, None), "a text gets one text"),
    "clean_up_tokenization_spaces": Only(
        (False, None), "spaces are as the ensemble's tokenizer writes them"
    ),
}
"""Those of tasks that write a text anew."""
