from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from aiokafka.conn import get_ip_port_afi
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from streamproc.errors import SettingsError
from streamproc.kafka.security import bootstrap_servers
from streamproc.settings import (
    Settings,
    read_settings,
    unknown_settings,
)
from streamproc.settings.reading import PREFIX


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().startswith(PREFIX):
            monkeypatch.delenv(name)


def test_defaults_are_valid_and_the_shipped_models_are_found() -> None:
    settings = read_settings()

    assert settings.kafka_bootstrap_servers == "127.0.0.1:9092"
    assert settings.max_message_bytes == 1024 * 1024
    assert (settings.models_dir / "sentiment" / "manifest.toml").is_file()


def test_the_environment_overrides_a_default_and_a_flag_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STREAMPROC_WEB_PORT", "1")
    monkeypatch.setenv("STREAMPROC_GROUP_ID", "theirs")

    settings = read_settings(web_port=2, group_id=None)

    assert (settings.web_port, settings.group_id) == (2, "theirs")


def test_lists_are_written_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_REPLY_TOPICS", " a, b,,c ")

    settings = read_settings()

    assert settings.reply_topics == ("a", "b", "c")
    assert settings.shown()["STREAMPROC_REPLY_TOPICS"] == "a,b,c"


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:12"])
def test_devices_are_taken(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    monkeypatch.setenv("STREAMPROC_DEVICE", device)

    assert read_settings().device == device


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("DEVICE", value) for value in ("gpu", "cuda:", "cuda:x", "cuda:²", "cpu:0", "auto:")),
        ("DEVICE", "cpu:"),
        ("DEVICE", ""),
        *(
            ("KAFKA_BOOTSTRAP_SERVERS", value)
            for value in (
                *("", ",", "127.0.0.1:notaport", "127.0.0.1:99999", "a:0", "a:-1", "a:", ":9092"),
                *(
                    "a:1,b:x",
                    "::1:9092",
                    "[::1",
                    "[::1]9092",
                    "[x]:1",
                    "a b:1",
                    "a:1;b:2",
                    "a..b:1",
                ),
                *("kafka://a:9092", "a:¹", f"{'x' * 64}:1", "a/b:1", "a:9092/path", "-a:1"),
            )
        ),
        *(("WEB_HOST", value) for value in ("", "a..b", "http://a", "[::1]", "1:2", "a b")),
        *(
            ("SCHEMA_REGISTRY_URL", value)
            for value in (
                "registry:8081",
                "ftp://r",
                "http://",
                "http://r:x",
                "http://a b",
                "http://[",
            )
        ),
        *(
            ("CACHE_URL", value)
            for value in (
                *("cache:6379", "http://cache", "valkey://", "redis://c:x", "redis://c:0"),
                *("valkey://c/one", "valkey://c/1/2", "valkey://c?db=1", "valkey://[", "redis:/c"),
            )
        ),
        *(("CACHE_BYTES", value) for value in ("-1", "much")),
        *(("CACHE_TTL_S", value) for value in ("0", "inf", "nan")),
        *(("CACHE_TIMEOUT_MS", value) for value in ("0", "1.5")),
        ("KAFKA_SECURITY_PROTOCOL", "plaintext"),
        ("KAFKA_SASL_MECHANISM", "GSSAPI"),
        ("GROUP_ID", ""),
        ("THREADS", "-1"),
        ("THREADS", "two"),
        ("DELIVERY", "exactly"),
        ("MAX_MESSAGE_BYTES", "1023"),
        ("MAX_MESSAGE_BYTES", "67108865"),
        ("MAX_IN_FLIGHT_BYTES", "0"),
        ("MAX_QUEUED_TOKENS", "1"),
        ("MAX_DOCUMENT_CHUNKS", "0"),
        ("BATCH_BUDGET_TOKENS", "-1"),
        ("BATCH_MAX_WAIT_MS", "-1"),
        ("BATCH_MAX_WAIT_MS", "1.5"),
        ("CALL_TIMEOUT_S", "0"),
        ("CALL_TIMEOUT_S", "nan"),
        ("CALL_TIMEOUT_S", "inf"),
        ("DRAIN_TIMEOUT_S", "-1"),
        ("SESSION_TIMEOUT_S", "5"),
        ("READY_LAG_S", "0"),
        ("READY_LAG_S", "inf"),
        ("WEB_PORT", "65536"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_wrong_setting_names_itself_and_what_it_was(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(PREFIX + name, value)

    with pytest.raises(SettingsError) as wrong:
        read_settings()

    assert f"{PREFIX}{name}={value!r}: " in str(wrong.value)


def test_all_wrong_settings_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_WEB_PORT", "x")

    with pytest.raises(SettingsError, match="wrong settings") as wrong:
        read_settings(log_level="loud")

    assert "STREAMPROC_WEB_PORT" in str(wrong.value)
    assert "STREAMPROC_LOG_LEVEL" in str(wrong.value)


def test_every_setting_is_shown_and_secrets_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_KAFKA_SASL_PASSWORD", "hunter2")

    settings = read_settings()

    shown = settings.shown()
    assert set(shown) == {PREFIX + name.upper() for name in Settings.model_fields}
    assert "hunter2" not in str(shown)
    assert "hunter2" not in repr(settings)
    assert settings.kafka_sasl_password is not None
    assert settings.kafka_sasl_password.get_secret_value() == "hunter2"


def test_every_setting_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("kafka-1:9092, kafka-2:9093 ,", "kafka-1:9092,kafka-2:9093"),
        ("kafka", "kafka:9092"),
        ("my_kafka.internal.:1", "my_kafka.internal.:1"),
        ("[::1]:9092,[2001:DB8::1]", "[::1]:9092,[2001:db8::1]:9092"),
        ("bücher.example:65535", "bücher.example:65535"),
    ],
)
def test_brokers_are_taken_in_every_form_that_clients_know(given: str, taken: str) -> None:
    assert read_settings(kafka_bootstrap_servers=given).kafka_bootstrap_servers == taken


@pytest.mark.parametrize(
    "address", ["shop:hunter2@kafka:9092", "SASL_SSL://shop:hunter2@kafka:9092", "a:1,u:hunter2@b"]
)
def test_a_password_in_an_address_is_refused_and_not_repeated(address: str) -> None:
    with pytest.raises(SettingsError, match="STREAMPROC_KAFKA_SASL_PASSWORD") as wrong:
        read_settings(kafka_bootstrap_servers=address)

    assert "hunter2" not in str(wrong.value)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("https://registry.example.com:8081/", "https://registry.example.com:8081"),
        ("http://a/apis/ccompat/v7, http://b,", "http://a/apis/ccompat/v7,http://b"),
        ("", None),
    ],
)
def test_registries_are_urls(given: str, taken: str | None) -> None:
    assert read_settings(schema_registry_url=given).schema_registry_url == taken


def test_a_password_in_a_registrys_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError, match="STREAMPROC_SCHEMA_REGISTRY_PASSWORD") as wrong:
        read_settings(schema_registry_url="https://shop:hunter2@registry:8081")

    assert "hunter2" not in str(wrong.value)


def test_a_password_in_the_url_of_a_cache_is_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError, match="STREAMPROC_CACHE_PASSWORD") as wrong:
        read_settings(cache_url="valkey://:hunter2@cache:6379")

    assert "hunter2" not in str(wrong.value)
    shown = read_settings(cache_password="hunter2").shown()  # noqa: S106 - made up
    assert "hunter2" not in str(shown)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (" valkeys://cache:7000/1 ", "valkeys://cache:7000/1"),
        ("redis://[::1]", "redis://[::1]"),
        ("", None),
    ],
)
def test_a_cache_is_a_url(given: str, taken: str | None) -> None:
    assert read_settings(cache_url=given).cache_url == taken


def test_a_registrys_password_is_shown_nowhere() -> None:
    settings = read_settings(schema_registry_password="hunter2")  # noqa: S106 - made up

    assert "hunter2" not in str(settings.shown())


@given(st.text() | st.text("a.:[]@,/ 19\n"))
def test_any_text_for_brokers_is_a_setting_that_clients_take_or_an_error(text: str) -> None:
    try:
        settings = read_settings(kafka_bootstrap_servers=text)
    except SettingsError:
        return
    for broker in bootstrap_servers(settings):
        host, port, _ = get_ip_port_afi(broker)
        host.encode("idna")
        assert 0 < port < 65536
        assert f"kafka://{broker}" == str(URL(f"kafka://{broker}", encoded=True))


def test_unknown_settings_are_named_with_what_they_may_mean(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STREAMPROC_MAX_MESSAGE_BYTS", "secret")
    monkeypatch.setenv("STREAMPROC_WEBPORT", "1")
    monkeypatch.setenv("STREAMPROC_IMAGE_TAG", "v1")
    monkeypatch.setenv("STREAMPROC_DATA", "/data")
    monkeypatch.setenv("streamproc_group_id", "g")

    told = [str(variable) for variable in unknown_settings()]

    assert told == [
        "STREAMPROC_IMAGE_TAG is not a setting; it has no effect",
        "STREAMPROC_MAX_MESSAGE_BYTS is not a setting; did you mean STREAMPROC_MAX_MESSAGE_BYTES?",
        "STREAMPROC_WEBPORT is not a setting; did you mean STREAMPROC_WEB_PORT?",
    ]


@pytest.mark.parametrize("service", ["STREAMPROC", "STREAMPROC_WEB", "STREAMPROC_DATA"])
def test_what_kubernetes_tells_of_services_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    for name, value in {
        "SERVICE_HOST": "10.0.0.1",
        "SERVICE_PORT": "8080",
        "SERVICE_PORT_HTTP_METRICS": "8080",
        "PORT": "tcp://10.0.0.1:8080",
        "PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "PORT_8080_TCP_PROTO": "tcp",
        "PORT_8080_TCP_PORT": "8080",
        "PORT_8080_TCP_ADDR": "10.0.0.1",
    }.items():
        monkeypatch.setenv(f"{service}_{name}", value)

    assert unknown_settings() == ()
    assert read_settings().web_port == 8080


def test_the_image_listens_where_probes_reach_it(monkeypatch: pytest.MonkeyPatch) -> None:
    image = (Path(__file__).parents[2] / "Dockerfile").read_text("utf-8")
    for name, value in re.findall(r"(STREAMPROC_\w+)=(\S+)", image):
        monkeypatch.setenv(name, value)

    settings = read_settings()

    assert unknown_settings() == ()
    assert settings.web_host == "0.0.0.0"  # noqa: S104 - in a container, all there is to listen on
    # Chosen, so that a port that is taken ends the worker rather than hiding it from probes.
    assert "web_port" in settings.model_fields_set
    assert f"EXPOSE {settings.web_port}" in image
