from __future__ import annotations

import pytest

from streamproc.errors import SettingsError
from streamproc.settings import PREFIX, Settings, read_settings


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)


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
        ("KAFKA_BOOTSTRAP_SERVERS", ""),
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
