"""Asking workers from a program: over Kafka, or over the HTTP of a gateway; blocking or not."""

from streamproc.client.answer import Answer, Outcome
from streamproc.client.async_client import AsyncClient
from streamproc.client.blocking import Client
from streamproc.client.connections import OverHttp, OverKafka
from streamproc.client.results import (
    ClassificationResult,
    EntitiesResult,
    GenerationResult,
    QuestionAnsweringResult,
    SummaryResult,
    TranslationResult,
)
from streamproc.messages.part_reader import TextPart

__all__ = [
    "Answer",
    "AsyncClient",
    "ClassificationResult",
    "Client",
    "EntitiesResult",
    "GenerationResult",
    "Outcome",
    "OverHttp",
    "OverKafka",
    "QuestionAnsweringResult",
    "SummaryResult",
    "TextPart",
    "TranslationResult",
]
