"""What encodings are called in files, as browsers understand it.

See https://encoding.spec.whatwg.org/#names-and-labels.
"""

from __future__ import annotations

import codecs
from typing import Final

# What is called by these is nearly always the larger one, which has characters that they lack.
_LARGER: Final = {
    "ascii": "cp1252",
    "big5": "cp950",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso2022_jp": "iso2022_jp_ext",
    "iso8859-1": "cp1252",
    "iso8859-11": "cp874",
    "iso8859-9": "cp1254",
    "shift_jis": "cp932",
    "tis-620": "cp874",
}
# Those that Python does not know.
_OTHER_NAMES: Final = {
    "gb_2312-80": "gb18030",
    "ks_c_5601-1989": "cp949",
    "windows-31j": "cp932",
    "windows-874": "cp874",
    "windows-949": "cp949",
}


def codec_called(name: str) -> str | None:
    """Python's codec for an encoding of text; None where none is called so."""
    name = name.lower().removeprefix("x-")
    try:
        codec = codecs.lookup(_OTHER_NAMES.get(name, name)).name
        # Not of nothing: for that no codec is looked up, and some codecs are not of text.
        b" ".decode(codec)
    except UnicodeDecodeError:  # half a character of two bytes
        pass
    except (LookupError, ValueError):
        return None
    return _LARGER.get(codec, codec)
