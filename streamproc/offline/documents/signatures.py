"""The bytes that files of a format begin with, whatever they are called."""

from __future__ import annotations

from typing import Final

PDF: Final = b"%PDF-"
ZIP: Final = b"PK\x03\x04"
"""Of DOCX, PPTX and Excel's files, too."""
OLE: Final = b"\xd0\xcf\x11\xe0"
"""Of Office before 2007, and of what a later one has encrypted."""
RTF: Final = b"{\\rtf"
"""Of a text whose signs would be read with it; some files of old Office are that."""
PARQUET: Final = b"PAR1"
GZIP: Final = b"\x1f\x8b"
ZSTD: Final = b"\x28\xb5\x2f\xfd"
ZSTD_SKIPPABLE: Final = b"\x50\x2a\x4d\x18"
"""Of a frame that holds no data, which pzstd puts before each that does."""
BZIP2: Final = b"BZh"
XZ: Final = b"\xfd7zXZ"

_OTHERWISE = ", and not what its name says"
NO_TEXT: Final = {
    PDF: f"a PDF{_OTHERWISE}",
    ZIP: f"a ZIP archive{_OTHERWISE}",
    PARQUET: f"Parquet{_OTHERWISE}",
    OLE: f"a file of an Office before 2007{_OTHERWISE}",
    RTF: "RTF: save it as DOCX",
    GZIP: f"gzip{_OTHERWISE}",
    BZIP2: "packed with bzip2: unpack it first",
    XZ: "packed with xz: unpack it first",
}
"""What no text begins with, whatever its name says; and what such a file is."""
