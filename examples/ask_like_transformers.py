"""The call that transformers 5 dropped: `pipeline("question-answering")`, over an ensemble.

    python examples/ask_like_transformers.py

Keywords and answers are those of transformers 4.57; the same lines run in a notebook.
"""

from __future__ import annotations

import streamproc

CONTEXT = "The bridge was opened in 1932. Its arch spans 503 metres, and the trains run on it."
QUESTION = "When was the bridge opened?"


def main() -> None:
    """Print an answer, and what only an ensemble can say of it."""
    with streamproc.pipeline("question-answering", "question-answering") as ask:
        answer = ask(question=QUESTION, context=CONTEXT, max_answer_len=5)
        print(f"{QUESTION} {answer['answer']!r} ({answer['score']:.2f})")
        # The same question again, answered with all that is known of the answer.
        (response,) = ask.responses({"question": QUESTION, "context": CONTEXT})
        print(f"agreement of the models: {response['agreement']:.2f}")


if __name__ == "__main__":
    main()
