"""Read a text while it is written, and ask many requests at once, with streamproc.client.

Run it beside a Kafka and a worker:

    streamproc broker &
    streamproc topics apply
    streamproc worker &
    python examples/stream_a_text.py

Or through a gateway (`streamproc gateway`), without a Kafka client:

    python examples/stream_a_text.py http://127.0.0.1:8080
"""

from __future__ import annotations

import sys

from streamproc.client import Answer, Client, OverHttp, OverKafka, TextPart

REVIEWS = ["The plot drags, but the acting is a joy.", "I want those two hours back."]


def main() -> None:
    """Print a text as it comes, and then a label for each review, or why there is none."""
    connection = OverHttp(sys.argv[1]) if len(sys.argv) > 1 else OverKafka()

    with Client("text-generation", connection) as writer:
        for part in writer.stream("Once upon a time", max_new_tokens=30):
            if isinstance(part, TextPart):
                print(part.text, end="", flush=True)
            else:
                print(f"\n[{part.result['finish_reason']}]")

    with Client("text-classification", connection) as critic:
        # The last one is no text; its error is its outcome, and the others are answered.
        for outcome in critic.ask_many([*REVIEWS, {"text": 7}]):
            if isinstance(outcome, Answer):
                print(f"{outcome.result['label']} {outcome.result['score']:.3f}")
            else:
                print(f"{outcome.type}: {outcome.detail}")


if __name__ == "__main__":
    main()
