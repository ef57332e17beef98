"""The OpenAPI document holds: whatever a client makes of it, or against it, gets no 500."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.gateway_app import LocalReplies, gateway_app, listening
from tests.support.small_ensembles import SMALL, write_small_ensembles

NOWHERE = Path("nowhere")
DOCUMENT = gateway_app(NOWHERE, LocalReplies(NOWHERE)).openapi()
OPERATIONS = [(path, method) for path, of in DOCUMENT["paths"].items() for method in of]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Of a gateway whose every task is answered, by small models in this process."""
    models = tmp_path_factory.mktemp("models")
    write_small_ensembles(models, tuple(SMALL))
    with listening(gateway_app(models, LocalReplies(models, *SMALL), max_wait_s=20)) as listens_at:
        yield listens_at


@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=str)
@given(data=st.data())
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_request_that_fits_the_document_or_breaks_it_gets_a_500(
    address: str, path: str, method: str, data: Any
) -> None:
    operation = schemathesis.openapi.from_dict(DOCUMENT)[path][method]
    mode = data.draw(st.sampled_from([GenerationMode.POSITIVE, GenerationMode.NEGATIVE]))
    case = data.draw(operation.as_strategy(generation_mode=mode))

    response = case.call(base_url=address, timeout=60)

    assert response.status_code != 500, response.text
    checks = [content_type_conformance, response_schema_conformance, status_code_conformance]
    case.validate_response(response, checks=checks)
