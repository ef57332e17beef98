"""Questions that their paragraph does not answer, made of questions and other paragraphs."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b

from streamproc.offline.corpus.questions import Question
from streamproc.offline.evaluation.squad import normalised

_DOCUMENT = "title"
# Of which a hard one takes the likest to its words.
_DRAWN_PARAGRAPHS = 8


def unanswerable(questions: Sequence[Question], share: float, seed: int) -> Iterator[Question]:
    """Some of the questions, each asked of a paragraph that does not hold its answer.

    Every other one is hard: it is asked of a paragraph of the same document, as the field `title`
    names it, and of some that are drawn of the one that shares most with its words. The rest are
    asked of any paragraph.

    share: of the questions, 0 to 1
    """
    order = random.Random(seed)  # noqa: S311  # an order to be repeated, not a secret
    everywhere, documents = _paragraphs(questions)
    drawn = order.sample(range(len(questions)), round(share * len(questions)))
    for number, place in enumerate(drawn):
        question = questions[place]
        near = documents[question.fields.get(_DOCUMENT)]
        some = order.sample(near, min(_DRAWN_PARAGRAPHS, len(near))) if number % 2 else []
        contexts = [questions[other].context for other in some or [order.choice(everywhere)]]
        without = [context for context in contexts if not _holds(context, question)]
        if without:
            yield Question(
                question.question, _likest(question.question, without), (), question.fields
            )


def _paragraphs(
    questions: Sequence[Question],
) -> tuple[Sequence[int], Mapping[str | None, Sequence[int]]]:
    """A question of each paragraph, of all and by document."""
    seen: set[bytes] = set()
    documents: dict[str | None, list[int]] = defaultdict(list)
    for place, question in enumerate(questions):
        digest = blake2b(question.context.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if digest not in seen:
            seen.add(digest)
            documents[question.fields.get(_DOCUMENT)].append(place)
    return [place for places in documents.values() for place in places], documents


def _holds(context: str, question: Question) -> bool:
    words = normalised(context)
    return any(normalised(text) in words for _, text in question.answers)


def _likest(question: str, contexts: Sequence[str]) -> str:
    """The context that has most of the question's words, each the less the more contexts have."""
    asked = set(normalised(question).split())
    shared = [asked & set(normalised(context).split()) for context in contexts]
    having = Counter(word for words in shared for word in words)
    weights = [sum(1 / having[word] for word in words) for words in shared]
    return contexts[weights.index(max(weights))]
