"""Every command over a zoo of bad inputs: a line that says what to do, and no file harmed.

Commands and their parameters are found by walking the application: a new command, or a new
parameter of one, fails here until it is said what it takes.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest
from typer.main import get_command

from streamproc.cli.app import INTERNAL_ERROR, app
from streamproc.errors import BrokerUnavailable, EmbeddedBrokerError
from streamproc.kafka.embedded import EmbeddedBroker
from streamproc.logs.printable import printable
from streamproc.settings import Settings
from streamproc.settings.gateway import GatewaySettings
from streamproc.settings.reading import PREFIX
from tests.support.in_process import Ended, run
from tests.support.onnx_models import classifier, write_ensemble
from tests.support.signing_keys import key_pair
from tests.support.zoo import ADDRESSES, NAMES, NEVER, make_zoo, tree_digest

INPUTS = {
    *("files", "data", "valid", "test", "train", "corpus", "prefix_corpus", "partitions", "part"),
    "prefix_of",
    *("base", "source", "tokenizer", "what", "run", "search", "models_dir", "topics_dir"),
    *("routes_dir", "route", "events"),
    *("kafka_ssl_cafile", "kafka_ssl_certfile", "kafka_ssl_keyfile", "cache_ssl_cafile"),
    *("keys_file", "jwks", "ssl_certfile", "ssl_keyfile", "model_key", "key"),
    *("trace", "texts", "api_key_file", "load"),
}
FOLDERS = {
    *("base", "source", "what", "run", "models_dir", "topics_dir", "routes_dir", "partitions"),
    "files",
}
"""Of these, what may be a folder."""
ONCE = {
    "kafka_ssl_cafile": "topics check",
    "kafka_ssl_certfile": "topics check",
    "kafka_ssl_keyfile": "topics check",
    "keys_file": "gateway keys list",
}
"""Settings that every command reads in the same way, and the one they are tried with."""
WHOLE = ("run", "evaluate", "corpus partition", "topics check")
"""Commands that are tried with the whole zoo before others are, as they read it to the end."""
TRAINING = {"train": {"corpus", "partitions", "search"}, "export": {"run"}}
"""Of commands that train, what is read before anything is learned: the rest takes minutes."""
OUTPUTS = {
    *("output", "json", "markdown", "html", "plots", "plot", "out", "work"),
    *("data_dir", "cache_dir"),
}
PLACES = {"kafka_bootstrap_servers", "schema_registry_url", "cache_url", "http"}
CALLED = {
    *("ensemble", "against", "task", "tasks", "names", "name", "member", "version", "offset"),
    *(
        "offsets",
        "tool",
        "device",
        "cache_tasks",
        "web_host",
        "host",
        "jwt_algorithms",
        "params",
        "encoding",
        "text_column",
        "id_column",
        "mapped",
        "label",
        "partition_by",
        "learn_from",
        "by",
        "precision",
        "mix",
        "length",
        "until",
        "arm",
        "shadow",
        "topic",
    ),
    "encoding",
}
WORDS = {
    *("text_field", "label_field", "description", "license", "group_id", "reply_topics", "ids"),
    "group_instance_id",
    *("types", "arguments", "layers", "model_input", "model_output", "pad_token"),
    *("kafka_sasl_username", "kafka_sasl_password", "lane"),
    *("schema_registry_username", "schema_registry_password"),
    *("cache_username", "cache_password"),
    *("prefix", "source_language", "target_language"),
    *("cors_origins", "jwt_audience", "jwt_issuer"),
}
"""Parameters that are words: none of them names a file, a folder, an address or a thing."""
ROUTE = """
kind: route
name: tiny
description: what the zoo is tried with
from: {topics: [in]}
answers: [{name: a, task: text-classification, ensemble: tiny, text: /text, to: /a}]
to: {topic: out}
meta: /meta
dlq: dead
"""
CLOSED = "127.0.0.1:1"
FULL = Path("/dev/full")


@dataclass(frozen=True)
class Base:
    """A command that would do something: its arguments and options, by the names of parameters.

    GOOD, MODELS, NEW, ONNX, KEY, ROUTES and ROUTE stand for a good file, the folder of ensembles, a
    path where nothing is yet, a model, a private key, a folder of routes and its route.
    """

    arguments: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)


TINY = {"ensemble": "tiny"}
BASES: dict[str, Base | None] = {
    # Takes nothing but the settings of what it starts.
    "demo": None,
    "broker": Base(options={"port": "0"}),
    "broker tools": Base({"tool": "kafka-topics", "arguments": "--list"}),
    "worker": Base(),
    "gateway": Base(options={"port": "0", "jwt_audience": "us", "jwt_issuer": "they"}),
    "gateway keys add": Base({"name": "mine"}, {"keys_file": "NEW"}),
    "gateway keys list": Base(options={"keys_file": "NEW"}),
    "gateway keys revoke": Base({"name": "mine"}, {"keys_file": "NEW"}),
    "submit": Base({"files": "GOOD"}),
    "run": Base({"files": "GOOD"}, TINY),
    "train": Base(
        options={**TINY, "corpus": "GOOD", "valid": "GOOD", "out": "NEW", "work": "NEW2"}
    ),
    "export": Base({"run": "NEW"}),
    "fit-ensemble": Base(TINY, {"valid": "GOOD"}),
    "evaluate": Base({**TINY, "data": "GOOD"}, {"draws": "20"}),
    "profiles": Base({**TINY, "data": "GOOD"}, {"rounds": "1"}),
    "topics apply": Base(),
    "topics check": Base(),
    "topics list": Base(),
    "topics asyncapi": Base(),
    "status": Base(),
    "load": Base(options={"rate": "20", "duration_s": "0.5", "warm_up_s": "0"}),
    "doctor": Base(),
    "routes list": Base(options={"routes_dir": "ROUTES"}),
    "routes check": Base(options={"routes_dir": "ROUTES"}),
    "routes try": Base({"route": "ROUTE", "events": "GOOD"}),
    "dlq list": Base(),
    "dlq show": Base({"offset": "0:0"}),
    "dlq replay": Base(options={"every": ""}),
    # Without --versions neither Kafka nor topics have a part in it.
    "models list": Base(options={"versions": ""}),
    "models show": Base({"name": "tiny"}),
    "models verify": Base({"names": "tiny"}),
    "models import": Base(
        {"source": "ONNX"},
        {
            "ensemble": "new",
            "task": "text-classification",
            "out": "NEW",
            "tokenizer": "TOKENIZER",
            "label": "bad",
        },
    ),
    "models use": Base({**TINY, "member": "m0", "version": "2"}),
    "models remove": Base({**TINY, "what": "m0/2"}, {"yes": ""}),
    "models sign": Base({"names": "tiny"}, {"key": "KEY"}),
    "models copy": Base({**TINY, "version": "tiny@2"}),
    "models promote": Base({"version": "tiny"}, {"wait": "0"}),
    "experiments start": Base(
        {"name": "trial"},
        {"arm": "tiny", "shadow": "tiny@3", "routes_dir": "ROUTES", "wait": "0"},
    ),
    "experiments list": Base(),
    "experiments report": Base({"name": "trial"}),
    "experiments promote": Base({"name": "trial"}, {"wait": "0"}),
    "experiments stop": Base({"name": "trial"}),
    "models rollback": Base({"name": "tiny"}, {"wait": "0"}),
    "models pin": Base({"name": "tiny"}),
    "models split": Base({"what": "tiny"}, {"stages": "2", "out": "NEW"}),
    "corpus partition": Base(options={"train": "GOOD", "by": "hash:2", "out": "NEW"}),
}


@dataclass(frozen=True)
class Place:
    """Good things, and the zoo beside them."""

    root: Path
    zoo: Mapping[str, Path]

    def filled_in(self, text: str) -> str:
        """What a word of a base stands for."""
        models = self.root / "models"
        good = {
            "GOOD": self.root / "good.jsonl",
            "MODELS": models,
            "NEW": self.root / "new",
            "NEW2": self.root / "new2",
            "ONNX": self.root / "model.onnx",
            "ROUTES": self.root / "routes",
            "ROUTE": self.root / "routes" / "route.yaml",
            "TOKENIZER": models / "tiny" / "tokenizer.json",
            "KEY": self.root / "ours-private.pem",
        }
        return str(good.get(text, text))


def commands() -> Iterator[tuple[str, Any]]:
    """Every command there is, by what is typed for it."""
    for name, lazy in get_command(app).commands.items():  # type: ignore[attr-defined]
        yield from _with_those_below(name, lazy.load())


def _with_those_below(name: str, command: Any) -> Iterator[tuple[str, Any]]:
    below = getattr(command, "commands", {})
    if not below or command.invoke_without_command:
        yield name, command
    for own, one in below.items():
        yield from _with_those_below(f"{name} {own}", one)


ALL = dict(commands())
TEXTS = [
    (name, parameter.name)
    for name, command in ALL.items()
    for parameter in command.params
    if not getattr(parameter, "is_flag", False)
    and parameter.bare_type() in ("str", "Path", "list[str]", "list[Path]")
]
"""Every parameter of a command that is a text or a path."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    root = tmp_path_factory.mktemp("place")
    labels = ("negative", "positive")
    write_ensemble(root / "models" / "tiny", [classifier(seed=1), classifier(seed=2)])
    write_ensemble(root / "models" / "tiny@3", [classifier(seed=3)])
    key_pair(root)
    rows = [
        f'{{"id": "{n}", "text": "good film {n}", "label": "{labels[n % 2]}"}}' for n in range(9)
    ]
    (root / "good.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (root / "model.onnx").write_bytes(classifier())
    (root / "routes").mkdir()
    (root / "routes" / "route.yaml").write_text(ROUTE, encoding="utf-8")
    return Place(root, make_zoo(root / "zoo"))


@pytest.fixture(autouse=True)
def nothing_is_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No Java, no download, no training, no wait for a Kafka: what is before all of these runs."""

    def no_download(_: object, __: object, folder: Path, *___: object) -> NoReturn:
        raise EmbeddedBrokerError(f"no jars are fetched into {folder}")

    # An output without a name is the folder that one is in.
    monkeypatch.chdir(tmp_path)

    def no_start(broker: EmbeddedBroker, *_: object) -> None:
        broker._port = 1

    def no_patience(_: float) -> NoReturn:
        raise BrokerUnavailable(f"nobody waits for {CLOSED} here")

    async def no_serving(*_: object) -> None:
        return

    monkeypatch.setattr("streamproc.kafka.backoff.backoff_s", no_patience)
    monkeypatch.setattr("streamproc.web.gateway.server.serve_until", no_serving)
    monkeypatch.setattr("streamproc.kafka.embedded.embedded.EmbeddedBroker._launch", no_start)
    monkeypatch.setattr("streamproc.maven.fetch", no_download)
    monkeypatch.setattr("streamproc.kafka.embedded.tools.kafka_jars", lambda *_: ())
    monkeypatch.setattr("streamproc.kafka.embedded.tools.run_tool", lambda _: 0)
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "MODELS_DIR", "TOPICS_DIR", "LOG_LEVEL"):
        monkeypatch.delenv(PREFIX + name, raising=False)


def arguments_of(name: str, parameter: str | None, value: str, place: Place) -> list[str]:
    """What is typed: the command's base, and the value for one of its parameters."""
    base = BASES[name]
    assert base is not None
    command = ALL[name]
    given = {**base.options}
    known = {one.name: one for one in command.params}
    if "models_dir" in known:
        given["models_dir"] = "MODELS"
    if "kafka_bootstrap_servers" in known:
        given["kafka_bootstrap_servers"] = CLOSED
    if parameter == "cache_ssl_cafile":
        given["cache_url"] = f"valkeys://{CLOSED}"
    if parameter and parameter.startswith("kafka_ssl"):
        given["kafka_security_protocol"] = "SSL"
    words = name.split()
    positional = dict(base.arguments)
    if parameter in positional or (parameter and known[parameter].param_type_name == "argument"):
        positional[parameter] = value
    elif parameter:
        given[parameter] = value
    for option, text in given.items():
        opt = known[option].opts[0]
        filled = place.filled_in(text)
        words += [opt] if known[option].is_flag else [f"{opt}={filled}"]
    return [*words, "--", *(place.filled_in(text) for text in positional.values())]


def tried_with(name: str, parameter: str, value: str, place: Place) -> Ended:
    """How a command ends; what it has made is removed."""
    ended = run(*arguments_of(name, parameter, value, place))
    for new in (place.root / "new", place.root / "new2"):
        if new.is_file():
            new.unlink()
        shutil.rmtree(new, ignore_errors=True)
    return ended


def faults(name: str, parameter: str, value: str, ended: Ended, *, never: bool) -> Iterator[str]:
    """What is wrong with the way in which a command ended."""
    told = f"{name}, {parameter}={value!r:.90}: "
    if ended.code == INTERNAL_ERROR or ended.code not in ((1, 2) if never else (0, 1, 2)):
        yield f"{told}exit code {ended.code}: {ended.said[-700:]}"
        return
    for sign in ("Traceback (most recent", "never retrieved", "Task was destroyed", "Unclosed"):
        if sign in ended.said:
            yield f"{told}{sign}: {ended.said[-700:]}"
    if re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", ended.said):
        yield f"{told}a control character: {ended.said[-300:]!r}"
    names = {value, printable(value), repr(value), Path(value).name or ".", parameter}
    base = BASES[name]
    names |= set(base.arguments.values()) | set(base.options.values()) if base else set()
    names |= {parameter.replace("_", "-"), PREFIX + parameter.upper(), CLOSED, "MODELS_DIR"}
    names |= {"No space left on device"} if value == str(FULL) else set()
    # Of a row that can't be answered the answer says so, under the row's id.
    answered = '"status":"error"' in ended.said
    if ended.code != 0 and not answered and not any(one and one in ended.said for one in names):
        yield f"{told}nothing is named: {ended.said[-500:]}"


def test_it_is_said_of_every_command_what_it_is_tried_with() -> None:
    assert set(BASES) == set(ALL)
    known = INPUTS | OUTPUTS | PLACES | CALLED | WORDS | set(Settings.model_fields)
    known |= set(GatewaySettings.model_fields)
    assert {parameter for _, parameter in TEXTS} - known == set()


def tried(kind: set[str]) -> list[Any]:
    return [
        pytest.param(name, parameter, id=f"{name} {parameter}", marks=marks(name))
        for name, parameter in TEXTS
        if parameter in kind
        and BASES[name]
        and ONCE.get(parameter, name) == name
        and (name not in TRAINING or parameter in TRAINING[name])
    ]


def marks(name: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.train] if name in ("train", "export") else []


@pytest.mark.parametrize(("name", "parameter"), tried(INPUTS))
def test_a_bad_file_or_folder_is_named_and_left_as_it_is(
    name: str, parameter: str, place: Place
) -> None:
    before = tree_digest(place.root)
    found: list[str] = []
    for animal, path in animals_for(name, parameter, place):
        value = f"m0={path}" if parameter == "part" else str(path)
        ended = tried_with(name, parameter, value, place)
        found += faults(name, parameter, value, ended, never=animal in NEVER)
    assert harmed(before, place, name) == []
    assert found == []


@pytest.mark.parametrize(("name", "parameter"), tried(PLACES))
def test_a_bad_address_is_named(name: str, parameter: str, place: Place) -> None:
    found: list[str] = []
    for value in ADDRESSES:
        ended = tried_with(name, parameter, value, place)
        # Kafka's own tools are handed an address as it is, and say themselves what is wrong; a
        # gateway waits for brokers and says meanwhile that it is not ready; a document is printed
        # without them. A registry that no route needs is not spoken to; a cache need not be there.
        alone = ("broker tools", "gateway", "topics asyncapi")
        never = name not in alone and parameter not in {"schema_registry_url", "cache_url"}
        found += faults(name, parameter, value, ended, never=never)
    assert found == []


@pytest.mark.parametrize(("name", "parameter"), tried(CALLED))
def test_a_bad_name_is_told_and_leads_nowhere(name: str, parameter: str, place: Place) -> None:
    before = tree_digest(place.root)
    found: list[str] = []
    for value in NAMES:
        ended = tried_with(name, parameter, value, place)
        found += faults(name, parameter, value, ended, never=False)
    assert harmed(before, place, name) == []
    assert found == []


@pytest.mark.parametrize(
    "parameter", ["rate", "think_s", "duration_s", "warm_up_s", "step_factor", "timeout_s"]
)
def test_a_load_without_an_end_is_refused(parameter: str, place: Place) -> None:
    ended = tried_with("load", parameter, "inf", place)
    assert (ended.code, list(faults("load", parameter, "inf", ended, never=True))) == (2, [])
    assert "should be less than or equal to" in ended.said


@pytest.mark.parametrize(("name", "parameter"), tried(OUTPUTS))
def test_a_place_that_can_not_be_written_is_named_and_what_lies_there_stays(
    name: str, parameter: str, place: Place
) -> None:
    kept = place.root / "kept"
    found: list[str] = []
    for animal in ("a file", "a folder", *NEVER[1:], "a full disk", "no name"):
        (kept / "folder").mkdir(parents=True)
        (kept / "file").write_text("of yesterday", "utf-8")
        (kept / "folder" / "inside").write_text("of yesterday", "utf-8")
        paths = {"a file": kept / "file", "a folder": kept / "folder", "a full disk": FULL}
        value = str(paths.get(animal) or place.zoo[animal])
        before = tree_digest(place.root)
        ended = tried_with(name, parameter, value, place)
        found += faults(name, parameter, value, ended, never=False)
        if ended.code != 0:
            # A folder of its own, made before it failed, is no harm.
            lost = [one for one in harmed(before, place, name) if one in before]
            found += [f"{name}, {parameter}: {animal}: {one}" for one in lost]
        shutil.rmtree(kept)
    assert found == []


def animals_for(name: str, parameter: str, place: Place) -> Iterator[tuple[str, Path]]:
    """The whole zoo for the first command that has a parameter, every ninth for the others.

    What commands read under one name they read by the same code, or nearly.
    """
    takers = [one for one, own in TEXTS if own == parameter and BASES[one]]
    first = next((one for one in WHOLE if one in takers), takers[0])
    for number, (animal, path) in enumerate(place.zoo.items()):
        if animal.startswith("folder-") and parameter not in FOLDERS:
            continue
        if name == first or animal in NEVER or number % 9 == 0:
            yield animal, path


def harmed(before: Mapping[str, str], place: Place, name: str) -> list[str]:
    """What is not as it was, or was not there, but for those that a command is there to write."""
    after = tree_digest(place.root)
    own = ("models/tiny/manifest.toml",) if name == "fit-ensemble" else ()
    return [
        one for one in {**before, **after} if before.get(one) != after.get(one) and one not in own
    ]
