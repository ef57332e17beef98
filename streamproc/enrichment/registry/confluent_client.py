"""A schema registry that speaks Confluent's API, by Confluent's own asynchronous client."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final, TypeVar
from uuid import UUID

from confluent_kafka.schema_registry import (
    AsyncSchemaRegistryClient,
    SchemaReference,
    SchemaRegistryError,
)
from confluent_kafka.schema_registry import Schema as ConfluentSchema

from streamproc.enrichment.registry.schemas import (
    Reference,
    Schema,
    SchemaRefused,
    UnknownSchema,
)
from streamproc.enrichment.registry.wire_format import SchemaName, SchemaRef
from streamproc.errors import RegistryUnavailable, SettingsError
from streamproc.settings import Settings

TIMEOUT_S: Final = 10.0
_NOT_THERE: Final = (40401, 40402, 40403)
_REFUSED: Final = (409, 422)

Result = TypeVar("Result")


class ConfluentRegistry:
    """The registry that the settings name."""

    def __init__(self, settings: Settings) -> None:
        """Raises SettingsError where the settings name none, or none that can be spoken to."""
        self._url = settings.schema_registry_url
        self._client = AsyncSchemaRegistryClient(_options(settings))

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    async def schema(self, ref: SchemaRef) -> Schema:
        """See `Registry`."""
        by_guid = isinstance(ref, UUID)
        asked = (
            self._client.get_schema_by_guid(str(ref))
            if isinstance(ref, UUID)
            else self._client.get_schema(ref)
        )
        try:
            return _schema(await self._answer(asked))
        except SchemaRegistryError as error:
            # A registry that does not know of GUIDs has no such address, and says no code.
            if error.error_code in _NOT_THERE or (by_guid and error.http_status_code == 404):
                raise UnknownSchema(
                    "unknown schema", f"the registry has none of id {ref}"
                ) from None
            raise self._unavailable(error) from None

    async def versions(self, subject: str, last: int) -> list[Schema]:
        """See `Registry`."""
        try:
            numbers = sorted(await self._answer(self._client.get_versions(subject)))
            asked = [self._client.get_version(subject, number) for number in numbers[-last:]]
            return [_schema((await self._answer(one)).schema) for one in asked]
        except SchemaRegistryError as error:
            if error.error_code in _NOT_THERE:
                return []
            raise self._unavailable(error) from None

    async def version(self, reference: Reference) -> Schema:
        """See `Registry`."""
        asked = self._client.get_version(reference.subject, reference.version, deleted=True)
        try:
            return _schema((await self._answer(asked)).schema)
        except SchemaRegistryError as error:
            if error.error_code in _NOT_THERE:
                raise UnknownSchema(
                    "unknown schema",
                    f"the registry has no version {reference.version} of {reference.subject}, "
                    f"which a schema uses as {reference.name}",
                ) from None
            raise self._unavailable(error) from None

    async def register(self, subject: str, schema: Schema) -> SchemaName:
        """See `Registry`."""
        wanted = ConfluentSchema(
            schema.text,
            schema.type,
            [SchemaReference(one.name, one.subject, one.version) for one in schema.references],
            *schema.terms,
        )
        try:
            # Who may read but not register gets on where somebody else has registered it.
            found = await self._answer(self._client.lookup_schema(subject, wanted))
        except SchemaRegistryError as error:
            if error.error_code not in _NOT_THERE:
                raise self._unavailable(error) from None
        else:
            return _name(found)
        try:
            return _name(
                await self._answer(self._client.register_schema_full_response(subject, wanted))
            )
        except SchemaRegistryError as error:
            if error.http_status_code in _REFUSED:
                raise SchemaRefused(
                    "output schema refused",
                    f"the registry does not take it under {subject}: {error.error_message}",
                ) from None
            raise self._unavailable(error) from None

    async def _answer(self, asked: Awaitable[Result]) -> Result:
        try:
            return await asked
        except SchemaRegistryError:
            raise
        # Of one of two HTTP libraries, or of an answer that is none of a schema registry's.
        except Exception as error:  # noqa: BLE001
            raise RegistryUnavailable(
                f"no schema registry answers at {self._url}: {type(error).__name__}"
            ) from None

    def _unavailable(self, error: SchemaRegistryError) -> RegistryUnavailable:
        return RegistryUnavailable(
            f"the schema registry at {self._url} answers {error.http_status_code}: "
            f"{str(error.error_message)[:200]}"
        )


def _options(settings: Settings) -> dict[str, Any]:
    if settings.schema_registry_url is None:
        raise SettingsError(
            "STREAMPROC_SCHEMA_REGISTRY_URL is not set: a route reads events whose schemas a "
            "registry holds"
        )
    # Its own tries would hide from the worker's health that the registry is away.
    options: dict[str, Any] = {
        "url": settings.schema_registry_url,
        "timeout": TIMEOUT_S,
        "max.retries": 0,
    }
    user, password = settings.schema_registry_username, settings.schema_registry_password
    if (user is None) != (password is None):
        raise SettingsError(
            "STREAMPROC_SCHEMA_REGISTRY_USERNAME and STREAMPROC_SCHEMA_REGISTRY_PASSWORD belong "
            "together: set both or none"
        )
    if user is not None and password is not None:
        options["basic.auth.user.info"] = f"{user}:{password.get_secret_value()}"
    cafile = settings.schema_registry_ssl_cafile
    if cafile is not None:
        if not cafile.is_file():
            raise SettingsError(f"STREAMPROC_SCHEMA_REGISTRY_SSL_CAFILE: there is no file {cafile}")
        options["ssl.ca.location"] = str(cafile)
    return options


def _schema(found: ConfluentSchema) -> Schema:
    references = tuple(
        Reference(str(one.name), str(one.subject), int(one.version or 0))
        for one in found.references or ()
    )
    terms = (found.metadata, found.rule_set)
    return Schema(found.schema_str or "", found.schema_type or "AVRO", references, terms)


def _name(found: Any) -> SchemaName:
    return SchemaName(found.schema_id, UUID(found.guid) if found.guid else None)
