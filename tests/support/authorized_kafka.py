"""A Kafka that lets a user do only what somebody has granted."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
)
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType

from streamproc.kafka.embedded import EmbeddedBroker
from streamproc.kafka.embedded.ports import free_port
from streamproc.settings import read_settings
from tests.support.secured_kafka import PASSWORD, USER, login_listener

_RESOURCES = {
    "group": ResourceType.GROUP,
    "topic": ResourceType.TOPIC,
    # In the words of Kafka's tools; the client calls it otherwise.
    "transactional-id": ResourceType.TRANSACTIONAL_ID,
}


@dataclass(frozen=True, slots=True)
class Grant:
    """What a user may do with one resource, or with all whose names begin so.

    resource: group, topic or transactional-id
    operation: Read, Write, Describe
    """

    resource: str
    name: str
    operation: str
    is_prefix: bool = False

    @property
    def binding(self) -> AclBinding:
        """As Kafka's client has it."""
        pattern = ResourcePatternType.PREFIXED if self.is_prefix else ResourcePatternType.LITERAL
        return AclBinding(
            _RESOURCES[self.resource],
            self.name,
            pattern,
            f"User:{USER}",
            "*",
            AclOperation[self.operation.upper()],
            AclPermissionType.ALLOW,
        )


@dataclass(frozen=True)
class AuthorizedKafka:
    """open_servers: where everybody may do everything; servers: where users log in"""

    open_servers: str
    servers: str
    admin: AdminClient = field(repr=False)

    @property
    def login(self) -> dict[str, str]:
        """The settings of a process that logs in, names without prefix."""
        return {
            "KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT",
            "KAFKA_SASL_USERNAME": USER,
            "KAFKA_SASL_PASSWORD": PASSWORD,
        }

    def grant(self, grants: Sequence[Grant], but: Collection[Grant] = ()) -> None:
        """Let the user do this, all but some, and nothing else."""
        everything = AclBindingFilter(
            ResourceType.ANY,
            None,  # type: ignore[arg-type]
            ResourcePatternType.ANY,
            None,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        for deleted in self.admin.delete_acls([everything]).values():
            deleted.result(30)
        bindings = [grant.binding for grant in grants if grant not in but]
        for created in self.admin.create_acls(bindings).values():
            created.result(30)
        # The broker asks an authorizer that learns of them a moment later.
        end_s = time.monotonic() + 30
        while len(self.admin.describe_acls(everything).result(30)) != len(bindings):
            assert time.monotonic() < end_s, "the broker has not taken over what was granted"
            time.sleep(0.05)


@contextmanager
def authorized_kafka(folder: Path) -> Iterator[AuthorizedKafka]:
    """Runs one."""
    port = free_port()
    settings = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        # Whoever comes by the port without a login: brokers, and tests that grant.
        "super.users": "User:ANONYMOUS",
    }
    with EmbeddedBroker(
        folder / "kafka",
        cache_dir=read_settings().cache_dir,
        more_listeners=[login_listener(port)],
        more_settings=settings,
    ) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
        yield AuthorizedKafka(broker.bootstrap_servers, f"127.0.0.1:{port}", admin)
