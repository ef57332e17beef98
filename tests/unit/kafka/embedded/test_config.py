"""What the embedded Kafka is told at its start."""

from __future__ import annotations

from pathlib import Path

from streamproc.kafka.embedded.config import (
    Layout,
    Listener,
    jvm_arguments,
    server_properties,
    write_config,
)
from streamproc.settings import LARGEST_MESSAGE_BYTES


def test_broker_listens_on_this_machine_only() -> None:
    settings = server_properties(Layout(Path("data")), 9092, 9093)
    listeners = settings["listeners"].split(",") + settings["advertised.listeners"].split(",")
    assert {listener.rpartition(":")[0].partition("://")[2] for listener in listeners} == {
        "127.0.0.1"
    }


def test_broker_takes_twice_the_largest_request_that_a_setting_allows() -> None:
    settings = server_properties(Layout(Path("data")), 9092, 9093)
    assert int(settings["message.max.bytes"]) >= 2 * LARGEST_MESSAGE_BYTES
    assert int(settings["replica.fetch.max.bytes"]) >= 2 * LARGEST_MESSAGE_BYTES
    assert int(settings["socket.request.max.bytes"]) > int(settings["message.max.bytes"])


def test_every_internal_topic_fits_a_single_node() -> None:
    settings = server_properties(Layout(Path("data")), 9092, 9093)
    single = [name for name in settings if name.endswith((".replication.factor", ".min.isr"))]
    assert len(single) == 6
    assert {settings[name] for name in single} == {"1"}


def test_topics_are_never_made_by_a_typo() -> None:
    settings = server_properties(Layout(Path("data")), 9092, 9093)
    assert settings["auto.create.topics.enable"] == "false"


def test_folder_with_unusual_letters_is_written_as_java_reads_it(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "Größe \\ 数")
    layout.root.mkdir()
    write_config(layout, 9092, 9093)
    text = layout.server_properties.read_bytes().decode("ascii")
    # Java knows the escapes of a JSON string that are used here: \\ and \uXXXX.
    assert f"{tmp_path.as_posix()}/Gr\\u00f6\\u00dfe \\\\ \\u6570/kafka" in text


def test_heap_is_what_was_asked_for() -> None:
    assert "-Xmx300m" in jvm_arguments(Layout(Path("/data")), 300, (Path("/a.jar"),))


def test_clients_of_a_port_behind_a_proxy_are_told_to_connect_to_the_proxy() -> None:
    more = [
        Listener("DIRECT", 9094, "SSL", {}),
        Listener("LINK", 9095, "PLAINTEXT", {}, advertised_port=9096),
    ]
    settings = server_properties(Layout(Path("data")), 9092, 9093, more)
    assert "LINK://127.0.0.1:9095" in settings["listeners"].split(",")
    assert settings["advertised.listeners"].split(",") == [
        "PLAINTEXT://127.0.0.1:9092",
        "DIRECT://127.0.0.1:9094",
        "LINK://127.0.0.1:9096",
    ]
