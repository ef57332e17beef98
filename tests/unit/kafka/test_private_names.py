"""Private names of Faust, mode and aiokafka that are used: a version that lacks one fails here."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer import fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.producer.message_accumulator import MessageAccumulator
from aiokafka.producer.transaction_manager import TransactionManager
from aiokafka.protocol.fetch import FetchRequest
from faust import App
from faust.tables.recovery import Recovery
from faust.transport.consumer import Consumer as FaustConsumer
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from mode import Service

from streamproc.kafka import __path__ as folder

FOLDER = Path(folder[0])


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (AIOKafkaConsumerThread, "_commit"),
        (AIOKafkaConsumerThread, "_create_worker_consumer"),
        (AIOKafkaConsumerThread, "_ensure_consumer"),
        (AIOKafkaConsumerThread, "_fetch_records"),
        (AIOKafkaConsumerThread, "on_partitions_assigned"),
        (AIOKafkaConsumerThread, "on_start"),
        (AIOKafkaConsumerThread, "on_thread_stop"),
        (AIOKafkaConsumerThread, "seek_to_committed"),
        (Consumer, "_commit"),
        (Consumer, "_new_consumer_thread"),
        (FaustConsumer, "_wait_next_records"),
        (FaustConsumer, "on_buffer_drop"),
        (FaustConsumer, "on_buffer_full"),
        (FaustConsumer, "_get_active_partitions"),
        (FaustConsumer, "getmany"),
        (FaustConsumer, "wait_first"),
        (App, "on_first_start"),
        (fetcher, "MemoryRecords"),
        (fetcher.Fetcher, "_proc_fetch_request"),
        (GroupCoordinator, "_push_error_to_user"),
        (GroupCoordinator, "_send_req"),
        (GroupCoordinator, "commit_offsets"),
        (GroupCoordinator, "coordinator_dead"),
        (GroupCoordinator, "fetch_committed_offsets"),
        (GroupCoordinator, "request_rejoin"),
        (AIOKafkaClient, "_metadata_update"),
        (AIOKafkaClient, "force_metadata_update"),
        (AIOKafkaClient, "get_random_node"),
        (Recovery, "_wait"),
        (TransactionManager, "wait_for_transaction_end"),
    ],
)
def test_a_method_that_is_called_or_replaced_is_there(owner: Any, name: str) -> None:
    assert callable(getattr(owner, name))


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        (AIOKafkaConsumer, ["_client", "_fetch_max_wait_ms", "_isolation_level", "_subscription"]),
        (AIOKafkaConsumer, ["_coordinator", "_fetcher"]),
        (AIOKafkaProducer, ["client", "_message_accumulator", "_sender", "_txn_manager"]),
        (MessageAccumulator, ["_batches", "_linger_time", "_pending_batches"]),
        (GroupCoordinator, ["_closing", "_coordination_task"]),
        (fetcher.Fetcher, ["_fetch_task", "_records"]),
        (FetchRequest, ["_max_wait_ms"]),
        (SubscriptionState, ["_last_fetch_ended"]),
        (Service, ["_crashed"]),
        (FaustConsumer, ["_buffered_partitions", "_paused_partitions"]),
        (AIOKafkaConsumerThread, ["_consumer"]),
    ],
)
def test_an_attribute_that_is_read_or_set_is_its_owners(owner: Any, names: list[str]) -> None:
    source = "".join(inspect.getsource(each) for each in owner.__mro__ if each is not object)
    for name in names:
        assert f"self.{name} = " in source or f"{name}: " in source or f"def {name}(" in source


def test_every_private_name_in_use_is_listed_here() -> None:
    used = set(re.findall(r"\.(_[a-z]\w+)", (FOLDER / "private_api.py").read_text()))
    listed = Path(__file__).read_text()
    assert [name for name in sorted(used) if f'"{name}"' not in listed] == []


def test_no_other_file_uses_a_private_name() -> None:
    private = re.compile(r"(?<!self)(?<!cls)\.(_[a-z]\w+)|SLF001")
    others = (file for file in FOLDER.glob("*.py") if file.name != "private_api.py")
    assert {
        file.name: found for file in others if (found := private.findall(file.read_text()))
    } == {}
