"""What all pipelines have: one input or many in, answers of transformers' form out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, NoReturn, Self

from streamproc.errors import Invalid
from streamproc.local.blocking_client import OUTSTANDING, Asked, BlockingClient
from streamproc.local.pipelines.keywords import Keyword, Keywords, whole
from streamproc.messages.client import ResponseBody
from streamproc.repository.manifest import Manifest
from streamproc.serving.chunking.windows import Window
from streamproc.serving.tasks.catalogue import task_named

Bodies = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Call:
    """What the keywords of one call come to.

    params: of each request
    form:   what shapes the answer, by the pipeline's own names
    window: what texts are cut into; None: as the manifest says
    """

    params: Mapping[str, Any]
    form: Mapping[str, Any] = field(default_factory=dict)
    window: Window | None = None


class TaskPipeline(ABC):
    """Answers as the pipeline of transformers 4.57.6 for the same task, and closes itself.

    Any thread may call it, beside a running event loop too. Keywords that were given when it was
    made are the defaults of every call. A str or a dict is one input; a list gives a list; what
    else can be iterated gives an iterator, which reads `batch_size` inputs ahead.
    """

    task: ClassVar[str]
    keywords: ClassVar[Mapping[str, Keyword]]

    def __init__(
        self, client: BlockingClient, manifest: Manifest, defaults: Mapping[str, Any]
    ) -> None:
        """Raises SettingsError where a keyword is refused."""
        self.ensemble = manifest.name
        self._client, self._manifest = client, manifest
        ours = [name for name in task_named(self.task).params.model_fields if name not in _HIDDEN]
        self._keywords = Keywords(self.task, self.keywords, ours)
        self._defaults = self._keywords.read(defaults)
        self._read({})

    @abstractmethod
    def __call__(self, *args: Any, **options: Any) -> Any:
        """The answers to one input or to many, as transformers has them."""

    def responses(self, *args: Any, **options: Any) -> list[ResponseBody]:
        """The responses that the answers are made from, with `agreement`, `members`, `coverage`.

        args, options: as for a call; with `return_members` each member's own result too
        returns: a response for each request (docs/messages.md), of status `error` where there is no
            answer; a list of one for one input
        """
        members = {"return_members": options.pop("return_members", False)}
        inputs = self.inputs_of(args, options)
        call, _ = self._read(options)
        call = replace(call, params={**call.params, **members})
        many = [inputs] if self.is_one(inputs) else inputs
        asked = self._client.ask_each(many, partial(self._requests, call))
        return [response for _, responses in asked for response in responses]

    def close(self) -> None:
        """Let the models go; happens by itself when the pipeline is no longer used."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a pipeline holds loaded models and can't be pickled; streamproc.Scorer can, and loads "
            "them where it is used"
        )

    def __repr__(self) -> str:
        return f"<streamproc.pipeline {self.task!r} of ensemble {self.ensemble!r}>"

    @abstractmethod
    def call_of(self, read: dict[str, Any]) -> Call:
        """What keywords come to; raises SettingsError."""

    @abstractmethod
    def bodies(self, one: Any, call: Call) -> Bodies:
        """The requests that answer one input together; raises Invalid, SettingsError."""

    @abstractmethod
    def answer(self, one: Any, results: list[dict[str, Any]], call: Call) -> Any:
        """The answer to one input, of the results of its requests."""

    def inputs_of(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """The inputs of a call; those that are keywords are taken out of `options`."""
        (inputs,) = args
        return inputs

    def is_one(self, inputs: Any) -> bool:
        """Whether it is one input."""
        return isinstance(inputs, (str, Mapping))

    def _answer_all(self, inputs: Any, options: Mapping[str, Any]) -> Any:
        """A list of answers for a list, an iterator for what else can be iterated."""
        call, ahead = self._read(options)
        if isinstance(inputs, (list, tuple)):
            return list(self._answers(inputs, call, OUTSTANDING))
        try:
            # By its items, as a torch Dataset has it, is enough; bytes are no text.
            many = None if isinstance(inputs, bytes | bytearray) else iter(inputs)
        except TypeError:
            many = None
        if many is None:
            raise Invalid("not an input", f"{self.task} takes no {type(inputs).__name__}")
        return self._answers(many, call, ahead)

    def _answer_one(self, one: Any, options: Mapping[str, Any]) -> Any:
        call, _ = self._read(options)
        ((_, responses),) = self._client.ask_each([one], partial(self._requests, call))
        return self.answer(one, [_result(response) for response in responses], call)

    def _read(self, options: Mapping[str, Any]) -> tuple[Call, int]:
        read = {**self._defaults, **self._keywords.read(options)}
        ahead = read.pop("batch_size", None)
        ahead = 1 if ahead is None else whole("batch_size", ahead, 1)
        return self.call_of(read), min(ahead, OUTSTANDING)

    def _answers(self, inputs: Iterable[Any], call: Call, ahead: int) -> Iterator[Any]:
        asked = self._client.ask_each(inputs, partial(self._requests, call), ahead)
        for place, (one, responses) in enumerate(asked):
            of = f" (input {place}, counted from 0)"
            results = [_result(response, of) for response in responses]
            yield self.answer(one, results, call)

    def _requests(self, call: Call, one: Any) -> Sequence[Asked]:
        params = dict(call.params)
        return [
            Asked.of({**body, "params": {**params, **body.get("params", {})}}, call.window)
            for body in self.bodies(one, call)
        ]


# `responses` is the way to what members said; in a call it would be asked for and thrown away.
_HIDDEN = ("return_members",)


def _result(response: ResponseBody, of: str = "") -> dict[str, Any]:
    """Raises Invalid where there is none."""
    if response["status"] == "error":
        error = response["error"]
        raise Invalid(error["title"], error["detail"] + of)
    return response["result"]
