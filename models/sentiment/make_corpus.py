"""The corpus of the ensemble `sentiment`: `python models/sentiment/make_corpus.py DATA OUT`.

DATA: the folder of data sets that report.md names; OUT: films, opinions and products, of each
train.jsonl and valid.jsonl: the domains of `sentiment_open`, put together by what they are about.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

PARTS = {
    "films": ("movie_snippets", "movie_reviews_long", "uci_imdb"),
    "opinions": ("product_pros_cons",),
    "products": ("product_sentences", "uci_amazon"),
}


def main(data: Path, out: Path) -> None:
    """Write the six files, every line as it was."""
    out.mkdir(parents=True, exist_ok=True)
    for split in ("train", "valid"):
        with gzip.open(data / f"sentiment_open/{split}.jsonl.gz", "rt", encoding="utf-8") as file:
            lines = list(file)
        for part, domains in PARTS.items():
            own = (line for line in lines if json.loads(line)["domain"] in domains)
            (out / f"{part}-{split}.jsonl").write_text("".join(own), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
