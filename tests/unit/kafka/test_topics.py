"""Topic descriptions: what is refused, by file and field; and how drift is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from streamproc.errors import TopicsError
from streamproc.kafka.topic_drift import Drift, FoundTopic, drift
from streamproc.kafka.topics import TopicCatalogue, load_topics
from streamproc.messages.lane import Lane
from streamproc.settings import Settings

KIB = 1024


def describe(folder: Path, **changes: object) -> Path:
    """A folder with a request topic, as changed, and the topics it names."""
    ends = {"examples": ["e.json"], "schema_file": "s.json", "retention_ms": 1000, "task": "t"}
    base = {"description": "a topic for tests", "topic_partitions": 2, **ends}
    asked = {"ensemble": "e", "responses": "rs", "dlq": "dl"}
    topics: dict[str, dict[str, object]] = {
        "rq": {**base, "name": "rq", "kind": "requests", **asked, **changes},
        "rs": {**base, "name": "rs", "kind": "responses"},
        "dl": {**base, "name": "dl", "kind": "dlq"},
    }
    for name, topic in topics.items():
        kept = {field: value for field, value in topic.items() if value is not None}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(kept))
    for name in ("e.json", "s.json"):
        (folder / name).write_text("{}")
    return folder


@pytest.fixture
def catalogue(tmp_path: Path) -> TopicCatalogue:
    return load_topics(describe(tmp_path))


def test_a_good_description_is_loaded(catalogue: TopicCatalogue) -> None:
    topic = catalogue.request_topic("t", Lane.INTERACTIVE)
    assert (topic.name, topic.responses, topic.dlq, topic.ensemble) == ("rq", "rs", "dl", "e")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"topic_partitions": 0}, "topic_partitions"),
        ({"topic_partitions": "12"}, "topic_partitions"),
        ({"partitions": 12}, "partitions"),
        ({"kind": "other"}, "kind"),
        ({"kind": None}, "kind"),
        ({"responses": None}, "responses"),
        ({"ensemble": None}, "ensemble"),
        ({"name": "no/slash"}, "name"),
        ({"retention_ms": -2}, "retention_ms"),
    ],
)
def test_a_wrong_field_is_named_with_its_file(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(TopicsError, match=rf"rq\.yaml: .*\b{said}\b"):
        load_topics(describe(tmp_path, **changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"responses": "dl"}, "kind responses"),
        ({"dlq": "nowhere"}, "'nowhere'"),
        ({"examples": ["gone.json"]}, "gone.json does not exist"),
    ],
)
def test_a_reference_to_nothing_is_refused(
    tmp_path: Path, changes: dict[str, object], said: str
) -> None:
    with pytest.raises(TopicsError, match=said):
        load_topics(describe(tmp_path, **changes))


def test_a_topic_described_twice_is_refused(tmp_path: Path) -> None:
    describe(tmp_path)
    (tmp_path / "zz.yaml").write_text((tmp_path / "rq.yaml").read_text())
    with pytest.raises(TopicsError, match="described twice"):
        load_topics(tmp_path)


def test_a_file_that_is_no_yaml_is_refused(tmp_path: Path) -> None:
    (describe(tmp_path) / "bad.yaml").write_text("name: [")
    with pytest.raises(TopicsError, match=r"bad\.yaml: not readable"):
        load_topics(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TopicsError, match="STREAMPROC_TOPICS_DIR"):
        load_topics(tmp_path)


def test_a_task_or_a_lane_without_a_topic_is_told(catalogue: TopicCatalogue) -> None:
    with pytest.raises(TopicsError, match="described: t"):
        catalogue.requests("other")
    with pytest.raises(TopicsError, match="bulk"):
        catalogue.request_topic("t", Lane.BULK)


def test_a_topic_takes_twice_the_largest_request_and_a_dead_letter_more(
    catalogue: TopicCatalogue,
) -> None:
    limits = catalogue.limits(Settings(max_message_bytes=1024 * KIB))
    assert limits["rq"] == limits["rs"] == (2048 + 64) * KIB
    assert limits["dl"] == (2048 + 128) * KIB


def as_described(catalogue: TopicCatalogue) -> dict[str, FoundTopic]:
    return {
        name: FoundTopic(name, topic.topic_partitions, topic.wanted_config(1024 * KIB))
        for name, topic in catalogue.topics.items()
    }


def test_topics_as_described_have_not_drifted(catalogue: TopicCatalogue) -> None:
    assert drift(catalogue.topics.values(), as_described(catalogue), 1024 * KIB) == []


def test_each_difference_is_told(catalogue: TopicCatalogue) -> None:
    found = as_described(catalogue)
    del found["dl"]
    found["rq"] = FoundTopic("rq", 3, {**found["rq"].config, "retention.ms": "5"})
    assert set(drift(catalogue.topics.values(), found, 1024 * KIB)) == {
        Drift("dl", "topic", "exists", None),
        Drift("rq", "topic-partitions", "2", "3"),
        Drift("rq", "retention.ms", "1000", "5"),
    }


def test_another_message_limit_is_a_drift_of_every_topic(catalogue: TopicCatalogue) -> None:
    differences = drift(catalogue.topics.values(), as_described(catalogue), 2048 * KIB)
    assert {(d.topic, d.what) for d in differences} == {
        (name, "max.message.bytes") for name in ("rq", "rs", "dl")
    }
