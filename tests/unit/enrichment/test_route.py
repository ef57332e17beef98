from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from streamproc.enrichment.catalogue import load_routes, refuse_loops, route_topics
from streamproc.enrichment.route import Route, load_route
from streamproc.errors import TopicsError
from streamproc.settings import Settings, read_settings

ANSWER: dict[str, Any] = {
    "name": "mood", "task": "text-classification", "ensemble": "sentiment", "text": "/body",
    "to": "/nlp/mood",
}  # fmt: skip
ROUTE: dict[str, Any] = {
    "kind": "route", "name": "shop", "description": "what is tested here",
    "from": {"topics": ["in"]}, "answers": [ANSWER], "to": {"topic": "out"}, "meta": "/nlp/run",
    "dlq": "dead",
}  # fmt: skip
REDACT = {"labels": ["PER"], "from": "/body", "to": "/masked"}
ENTITIES = {**ANSWER, "task": "token-classification", "ensemble": "entities"}


def written(folder: Path, *routes: dict[str, Any]) -> Settings:
    """The settings of a worker that serves these routes."""
    folder.mkdir(exist_ok=True)
    for route in routes:
        (folder / f"{route['name']}.yaml").write_text(yaml.safe_dump(route), "utf-8")
    return read_settings(routes_dir=str(folder))


def described(**fields: Any) -> dict[str, Any]:
    return {**ROUTE, **fields}


def answering(**fields: Any) -> dict[str, Any]:
    return described(answers=[{**ANSWER, **fields}])


@pytest.mark.parametrize(
    ("route", "said"),
    [
        (described(answer={}), "answer: unknown; did you mean 'answers'?"),
        (answering(keeep=["label"]), "answers.0.keeep: unknown; did you mean 'keep'?"),
        (
            described(**{"from": {"topics": ["in"], "begin": "earliest"}}),
            "from.begin: unknown; there are: topics, format, schema, lane, start",
        ),
        (described(form={}), "form: unknown; did you mean 'from'?"),
        (
            described(when=[{"at": "/a", "equal": 1}]),
            "when.0.equal: unknown; did you mean 'equals'? There are: at, in, equals, exists",
        ),
        (described(answers=[]), "answers: Array should have at least 1 item"),
        (described(answers=[ANSWER, ANSWER]), "two are called mood"),
        (described(answers=[ANSWER, {**ANSWER, "name": "b"}]), "put in one place"),
        (described(meta="/nlp/mood/run"), "put in one place"),
        (described(meta=None), "on_error: annotate needs meta"),
        (described(meta=None, skip_if_done=True), "skip_if_done needs meta"),
        (described(meta="/nlp/*/run"), "meta: '*' can't say where one value is"),
        (described(meta=""), "meta: it would replace the whole event"),
        (described(dlq="out"), "dead letters need a topic of their own"),
        (described(when=[{"at": "/a"}]), "exactly one of in, equals, exists, matches"),
        (described(when=[{"at": "/a", "matches": "("}]), "no regular expression that RE2 takes"),
        (described(when=[{"at": "a", "exists": True}]), "no JSON Pointer"),
        (answering(text="$.lines[0].text"), "begins with '/', as in '/lines/0/text'"),
        (answering(text="body"), "begins with '/', as in '/body'"),
        (described(to={"topic": "out", "key": "/a/*"}), "'*' can't say"),
        (answering(text=None), "give text, or question and context"),
        (answering(text=None, context="/body"), "question and context belong together"),
        (answering(to="/nlp/*/x"), "a name without '/' goes beside each text"),
        (
            described(answers=[{**ENTITIES, "redact": {**REDACT, "to": "/lines/*/masked"}}]),
            "redact.to: '*' can't say",
        ),
        (
            described(answers=[{**ENTITIES, "redact": {**REDACT, "from": "/lines/*/text"}}]),
            "redact.from: '*' can't say",
        ),
        (
            described(answers=[{**ENTITIES, "redact": {**REDACT, "to": ""}}]),
            "redact.to: it would replace the whole event",
        ),
        (answering(on_error="default"), "needs a default"),
        (answering(default={"label": "NEUTRAL"}), "default: on_error: annotate has no use for it"),
        (
            described(**{"from": {"topics": ["in"], "schema": "order.avsc"}}),
            "from.schema is for format avro or json-schema, not json",
        ),
        (
            described(to={"topic": "out", "subject": "out-value"}),
            "to.subject is for format avro or json-schema, not json",
        ),
        (answering(redact=REDACT), "only token-classification"),
        (described(answers=[{**ENTITIES, "redact": {**REDACT, "from": "/title"}}]), "not in text"),
        (
            described(answers=[{**ENTITIES, "redact": {**REDACT, "to": "/body"}}]),
            "needs on_error: dlq",
        ),
        (
            described(answers=[{**ENTITIES, "redact": REDACT, "params": {"truncate": True}}]),
            "would go unmasked",
        ),
        (answering(task="sentiment"), "sentiment"),
        (answering(keep=["lable"]), "did you mean 'label'?"),
        (answering(params={"topk": 1}), "params.topk"),
        (answering(text=None, question="Who?", context="/body"), "text-classification takes text"),
        (answering(task="question-answering"), "question-answering takes question and context"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_route_is_said_with_the_file(
    tmp_path: Path, route: dict[str, Any], said: str
) -> None:
    with pytest.raises(TopicsError, match=r"shop\.yaml") as refused:
        load_routes(written(tmp_path / "routes", route))

    assert said in str(refused.value)


def test_two_routes_of_one_name_are_told_with_both_files(tmp_path: Path) -> None:
    settings = written(tmp_path / "routes", ROUTE)
    (tmp_path / "routes" / "again.yaml").write_text(yaml.safe_dump(ROUTE), "utf-8")

    with pytest.raises(TopicsError, match=r"shop\.yaml: name: .*again\.yaml has a route shop"):
        load_routes(settings)


def test_a_route_in_a_file_named_yml_is_one(tmp_path: Path) -> None:
    settings = written(tmp_path / "routes", ROUTE)
    (tmp_path / "routes" / "shop.yaml").rename(tmp_path / "routes" / "shop.yml")

    assert [route.name for route in load_routes(settings)] == ["shop"]


def test_a_file_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("a: [", "utf-8")
    with pytest.raises(TopicsError, match=r"a\.yaml: not readable as YAML"):
        load_route(file)


def test_what_a_file_says_twice_is_not_quietly_taken_once(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(yaml.safe_dump(ROUTE, sort_keys=False) + "meta: /elsewhere\n", "utf-8")

    with pytest.raises(TopicsError, match=r"a\.yaml: .*line \d+, column 1: .* second 'meta'$"):
        load_route(file)


def test_what_is_wrong_in_yaml_is_one_sentence_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("kind: route\nfrom: {topics: [in]\nto: {topic: out}\n", "utf-8")

    with pytest.raises(TopicsError) as refused:
        load_route(file)

    assert "not readable as YAML: line 3, column 1: " in str(refused.value)
    assert str(refused.value).endswith("while parsing a flow mapping that begins in line 2")


def test_a_merge_may_be_overridden(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    answer = "text: /b, ensemble: sentiment"
    file.write_text(
        "{kind: route, name: shop, description: what is tested, from: {topics: [in]},\n"
        f"answers: [&a {{name: a, task: text-classification, to: /a, {answer}}}, "
        "{<<: *a, name: b, to: /b}],\n"
        "to: {topic: out}, meta: /m, dlq: d}",
        "utf-8",
    )

    assert [answer.to for answer in load_route(file).answers] == ["/a", "/b"]


def test_a_file_that_is_not_there_is_not_called_unreadable_yaml(tmp_path: Path) -> None:
    with pytest.raises(TopicsError, match=r"nope\.yaml: No such file or directory$"):
        load_route(tmp_path / "nope.yaml")


def test_an_empty_folder_of_routes_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(TopicsError, match="STREAMPROC_ROUTES_DIR"):
        load_routes(written(tmp_path / "routes"))


def chain(*pairs: tuple[str, str]) -> list[Route]:
    return [
        Route.model_validate(
            described(name=f"r{number}", dlq=f"dead{number}", **{"from": {"topics": [one]}})
            | {"to": {"topic": other}}
        )
        for number, (one, other) in enumerate(pairs)
    ]


@pytest.mark.parametrize(
    "pairs",
    [
        [("a", "a")],
        [("a", "b"), ("b", "a")],
        [("a", "b"), ("b", "c"), ("c", "b")],
        [("a", "b"), ("dead0", "a")],
    ],
)
def test_events_that_would_go_round_for_ever_are_refused(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(TopicsError, match="feeds itself through the routes"):
        refuse_loops(chain(*pairs))


def test_routes_that_follow_each_other_are_no_loop() -> None:
    refuse_loops(chain(("a", "b"), ("b", "c"), ("a", "c")))


def test_a_topic_that_two_routes_read_has_one_lane(tmp_path: Path) -> None:
    other = described(name="other", **{"from": {"topics": ["in"], "lane": "bulk"}})
    with pytest.raises(TopicsError, match="on another lane"):
        load_routes(written(tmp_path / "routes", ROUTE, other))


def test_routes_may_lie_beside_the_topics(tmp_path: Path) -> None:
    folder = tmp_path / "topics"
    written(folder, ROUTE)

    assert [route.name for route in load_routes(read_settings(topics_dir=str(folder)))] == ["shop"]


def test_the_topics_that_a_route_publishes_to_are_described(tmp_path: Path) -> None:
    topics = route_topics(load_routes(written(tmp_path / "routes", ROUTE)))

    assert [topic.name for topic in topics] == ["dead", "out"]
    assert topics[1].wanted_config(1 << 20)["retention.ms"] == "604800000"


def test_the_shipped_route_is_valid() -> None:
    folder = read_settings().topics_dir / "examples" / "routes"
    (route,) = load_routes(read_settings(routes_dir=str(folder)))

    assert route.name == "shop-reviews"
