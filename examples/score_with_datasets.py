"""Answer a data set of Hugging Face `datasets`: columns are added, and the result is one too.

pip install datasets
python examples/score_with_datasets.py
"""

from __future__ import annotations

import datasets

import streamproc

QUESTIONS = {
    "question": ["When was the bridge opened?", "How long is the arch?", ""],
    "text": ["The bridge was opened in 1932. Its arch spans 503 metres."] * 3,
}


def main() -> None:
    """Print the answers, and why there is none."""
    asked = datasets.Dataset.from_dict(QUESTIONS)
    scorer = streamproc.Scorer(
        "question-answering",
        "question-answering",
        columns={"context": "text"},
        keep=["answer", "score"],
    )
    # As Arrow, batches are not made into Python's lists and back, and columns have their types
    # from the first batch on. Several processes (num_proc=) load the models once each.
    answered = asked.with_format("arrow").map(scorer, batched=True).with_format(None)
    for row in answered:
        print(row["question"], row["answer"], row["error"])


if __name__ == "__main__":
    datasets.disable_progress_bars()
    main()
