"""Right credentials and certificates are let in; of wrong ones it is said what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streamproc.clock import SystemClock
from streamproc.errors import KafkaRefused, OperatorError
from streamproc.kafka.embedded import EmbeddedBroker
from streamproc.kafka.embedded.ports import free_port
from streamproc.kafka.producer import Producer
from streamproc.kafka.refusals import refusal
from streamproc.kafka.topic_admin import TopicAdmin
from streamproc.kafka.worker import KafkaWorker
from streamproc.settings import Settings, read_settings
from tests.support.command import streamproc
from tests.support.kafka_place import Place, echo, until, until_answered, working
from tests.support.secured_kafka import (
    PASSWORD,
    USER,
    SecuredKafka,
    login_listener,
    secured_kafka,
)

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    with secured_kafka(tmp_path_factory.mktemp("secured")) as running:
        yield running


@pytest.fixture(scope="module")
def client(kafka: SecuredKafka) -> tuple[Path, Path]:
    """A certificate that the broker trusts, and its key."""
    return kafka.authority.issue("client")


@pytest.fixture(scope="module")
def unknown_client(kafka: SecuredKafka) -> tuple[Path, Path]:
    """One that it does not trust."""
    return kafka.stranger.issue("unknown-client")


def settings(kafka: SecuredKafka, what: str, protocol: str, **more: Any) -> Settings:
    return read_settings(
        kafka_bootstrap_servers=kafka.address(what), kafka_security_protocol=protocol, **more
    )


def user(password: str = PASSWORD, mechanism: str = "PLAIN") -> dict[str, str]:
    return {
        "kafka_sasl_username": USER,
        "kafka_sasl_password": password,
        "kafka_sasl_mechanism": mechanism,
    }


async def test_right_credentials_are_let_in(kafka: SecuredKafka, client: tuple[Path, Path]) -> None:
    trusted = {"kafka_ssl_cafile": str(kafka.authority.certificate)}
    shown = {"kafka_ssl_certfile": str(client[0]), "kafka_ssl_keyfile": str(client[1])}
    for right in (
        settings(kafka, "plain", "PLAINTEXT"),
        settings(kafka, "tls", "SSL", **trusted),
        settings(kafka, "mutual", "SSL", **trusted, **shown),
        settings(kafka, "sasl", "SASL_PLAINTEXT", **user()),
        settings(kafka, "scram", "SASL_PLAINTEXT", **user(mechanism="SCRAM-SHA-256")),
        settings(kafka, "sasl-tls", "SASL_SSL", **trusted, **user()),
    ):
        async with TopicAdmin(right) as admin:
            assert await admin.found([]) == {}
        assert await refusal(right) is None


def wrong_settings(kafka: SecuredKafka, name: str, unknown: tuple[Path, Path]) -> Settings:
    trusted = {"kafka_ssl_cafile": str(kafka.authority.certificate)}
    shown = {"kafka_ssl_certfile": str(unknown[0]), "kafka_ssl_keyfile": str(unknown[1])}
    stranger = {"kafka_ssl_cafile": str(kafka.stranger.certificate)}
    scram = "SCRAM-SHA-256"
    return {
        "wrong password": settings(kafka, "sasl", "SASL_PLAINTEXT", **user("wrong")),
        "wrong password, SCRAM": settings(kafka, "scram", "SASL_PLAINTEXT", **user("no", scram)),
        "wrong password, TLS": settings(kafka, "sasl-tls", "SASL_SSL", **trusted, **user("no")),
        "wrong mechanism": settings(kafka, "sasl", "SASL_PLAINTEXT", **user(mechanism=scram)),
        "user where none is asked": settings(kafka, "plain", "SASL_PLAINTEXT", **user()),
        "unknown authority": settings(kafka, "tls", "SSL", **stranger),
        "unknown authority, SASL": settings(kafka, "sasl-tls", "SASL_SSL", **stranger, **user()),
        "other name": settings(kafka, "other-name", "SSL", **trusted),
        "expired": settings(kafka, "expired", "SSL", **trusted),
        "no certificate": settings(kafka, "mutual", "SSL", **trusted),
        "unknown certificate": settings(kafka, "mutual", "SSL", **trusted, **shown),
        "plaintext to TLS": settings(kafka, "tls", "PLAINTEXT"),
    }[name]


WRONG = {
    "wrong password": r"refuses the user 'worker' .*STREAMPROC_KAFKA_SASL_PASSWORD",
    "wrong password, SCRAM": r"refuses the user 'worker' .*STREAMPROC_KAFKA_SASL_PASSWORD",
    "wrong password, TLS": r"refuses the user 'worker' .*STREAMPROC_KAFKA_SASL_PASSWORD",
    "wrong mechanism": r"knows no SCRAM-SHA-256; set STREAMPROC_KAFKA_SASL_MECHANISM",
    "user where none is asked": r"takes no user and password there",
    "unknown authority": r"nobody that is trusted has signed .*STREAMPROC_KAFKA_SSL_CAFILE",
    "unknown authority, SASL": r"nobody that is trusted has signed",
    "other name": r"certificate is for another name than 127\.0\.0\.1",
    "expired": r"certificate has expired",
    "no certificate": r"refuses the certificate of this client",
    "unknown certificate": r"refuses the certificate of this client",
    "plaintext to TLS": r"speaks TLS, and STREAMPROC_KAFKA_SECURITY_PROTOCOL is PLAINTEXT",
}


@pytest.mark.parametrize(("name", "reason"), WRONG.items(), ids=WRONG)
async def test_wrong_credentials_are_told_in_one_sentence_without_the_password(
    kafka: SecuredKafka, unknown_client: tuple[Path, Path], name: str, reason: str
) -> None:
    wrong = wrong_settings(kafka, name, unknown_client)

    with pytest.raises(KafkaRefused, match=reason) as refused:
        async with TopicAdmin(wrong):
            pass

    said = str(refused.value)
    assert wrong.kafka_bootstrap_servers in said
    assert "\n" not in said
    assert wrong.kafka_sasl_password is None or (
        f"'{wrong.kafka_sasl_password.get_secret_value()}'" not in said
    )


async def test_a_worker_stops_instead_of_waiting_for_ever(kafka: SecuredKafka) -> None:
    wrong = settings(kafka, "sasl", "SASL_PLAINTEXT", **user("wrong"))
    clock = SystemClock()
    worker = KafkaWorker(wrong, [], clock=clock, producer=Producer(wrong, clock))

    with pytest.raises(KafkaRefused, match="refuses the user"):
        await asyncio.wait_for(worker.run(asyncio.Event()), 60)


async def test_where_no_broker_is_there_it_may_come() -> None:
    nobody = read_settings(kafka_bootstrap_servers="127.0.0.1:1", kafka_security_protocol="SSL")

    assert await refusal(nobody) is None
    with pytest.raises(OperatorError, match=r"no Kafka that speaks SSL at 127\.0\.0\.1:1; start"):
        async with TopicAdmin(nobody):
            pass


async def test_one_broker_of_several_is_enough(kafka: SecuredKafka) -> None:
    address = f"{kafka.address('expired')},{kafka.address('tls')}"
    some = read_settings(
        kafka_bootstrap_servers=address,
        kafka_security_protocol="SSL",
        kafka_ssl_cafile=str(kafka.authority.certificate),
    )

    assert await refusal(some) is None


@pytest.mark.parametrize("command", [("worker",), ("topics", "check"), ("status",)])
def test_a_command_ends_with_the_sentence_and_2(
    kafka: SecuredKafka, command: tuple[str, ...]
) -> None:
    shown = streamproc(
        *command,
        settings={
            "KAFKA_BOOTSTRAP_SERVERS": kafka.address("sasl"),
            "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "KAFKA_SASL_USERNAME": USER,
            "KAFKA_SASL_PASSWORD": "wrong secret",
            "WEB_PORT": "0",
        },
    )

    assert shown.returncode == 2, shown.stderr
    assert "refuses the user 'worker'" in shown.stderr
    assert "wrong secret" not in shown.stdout + shown.stderr
    assert "Traceback" not in shown.stderr


async def test_a_worker_whose_password_is_changed_while_it_runs_says_so_until_it_is_changed_back(
    tmp_path: Path,
) -> None:
    port, cache_dir = free_port(), read_settings().cache_dir

    def broker(password: str, own_port: int = 0) -> EmbeddedBroker:
        listeners = [login_listener(port, password)]
        return EmbeddedBroker(
            tmp_path / "kafka", own_port, cache_dir=cache_dir, more_listeners=listeners
        )

    with broker(PASSWORD) as running:
        own_port = int(running.bootstrap_servers.rpartition(":")[2])
        place = Place(running.bootstrap_servers, 1)
        await place.make()
        login = {"kafka_security_protocol": "SASL_PLAINTEXT", **user()}
        address = {"kafka_bootstrap_servers": f"127.0.0.1:{port}"}
        own = read_settings(group_id=place.settings.group_id, **address, **login)
        async with working(place, echo(place), own) as (worker, _, task):
            await asyncio.to_thread(running.stop)
            with broker("another", own_port):
                await until(lambda: "refuses the user 'worker'" in str(worker.not_ready()), task)
            with broker(PASSWORD, own_port):
                await until(worker.ready, task)
                keys = await place.send(3)
                assert set(await until_answered(place, keys)) == keys
