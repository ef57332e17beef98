"""How sure an ensemble is of its labels for the tokens of a text."""

from __future__ import annotations

from streamproc.serving.tasks.token_opinions import TokenOpinions
from streamproc.types import BoolArray


class TokenMeasures:
    """Agreement and entropy of a text's tokens, each counted once."""

    def __init__(self, is_entity: BoolArray) -> None:
        """is_entity: (labels,) whether a label is one that the answer shows."""
        self._is_entity = is_entity
        self._entropy = 0.0
        self._tokens = 0
        self._agreement = 0.0
        self._entity_tokens = 0
        self._entity_agreement = 0.0

    def add(self, opinions: TokenOpinions) -> None:
        """Take tokens."""
        entity = self._is_entity[opinions.labels]
        self._entropy += float(opinions.entropy.sum())
        self._tokens += len(opinions.labels)
        self._agreement += float(opinions.agreement.sum())
        self._entity_tokens += int(entity.sum())
        self._entity_agreement += float(opinions.agreement[entity].sum())

    def agreement(self) -> float:
        """Mean over tokens whose label the answer shows, over all where there are none; 1 for a
        text without tokens."""
        if self._entity_tokens:
            return self._entity_agreement / self._entity_tokens
        return self._agreement / self._tokens if self._tokens else 1.0

    def entropy(self) -> float:
        """Mean over tokens, in nats; 0 for a text without tokens."""
        return self._entropy / self._tokens if self._tokens else 0.0
