"""Who may ask a gateway, and how much: keys, tokens, limits, pages, bodies."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from structlog.testing import capture_logs

from streamproc.errors import SettingsError
from streamproc.settings.gateway import GatewaySettings, read_gateway_settings
from streamproc.testing.clock import ManualClock
from streamproc.web.gateway.problems import GatewayProblem
from streamproc.web.gateway.security.key_file import (
    ApiKey,
    KeyFile,
    hashed,
    new_key,
    read_keys,
    write_keys,
)
from streamproc.web.gateway.security.tokens import FETCH_TIMEOUT_S, KEPT_S, TokenChecker
from streamproc.web.gateway.server import require_keys
from tests.support.gateway_app import LocalReplies, asking, gateway_app, listening

ASK = "/v1/text-classification"
BODY = {"text": "good"}


def made_key(file: Path, name: str = "ann", **limits: Any) -> str:
    key = new_key()
    write_keys(
        file, [*read_keys(file), ApiKey(name=name, sha256=hashed(key), created="now", **limits)]
    )
    return key


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_a_key_lets_in_and_nothing_else_does(
    models: Path, replies: LocalReplies, tmp_path: Path
) -> None:
    key = made_key(tmp_path / "keys.toml")
    async with asking(gateway_app(models, replies, keys_file=tmp_path / "keys.toml")) as client:
        let_in = [
            await client.post(ASK, json=BODY, headers=headers)
            for headers in (bearer(key), {"X-API-Key": key})
        ]
        turned_away = [
            await client.post(ASK, json=BODY, headers=headers)
            for headers in ({}, bearer("spk_no"), bearer(key[:-1]), {"Authorization": key})
        ]

    assert [one.status_code for one in let_in] == [200, 200]
    assert [one.status_code for one in turned_away] == [401] * 4
    assert all(one.headers["WWW-Authenticate"] == "Bearer" for one in turned_away)
    assert turned_away[0].json()["type"] == "urn:streamproc:problem:unauthorized"
    assert len(replies.asked) == 2


@pytest.mark.parametrize(
    "path", ["/v1/text-classification", "/v1/requests/x", "/v1/models", "/v2/models/x", "/metrics"]
)
async def test_every_address_asks_for_a_key_but_health_and_docs(
    models: Path, replies: LocalReplies, tmp_path: Path, path: str
) -> None:
    made_key(tmp_path / "keys.toml")
    async with asking(gateway_app(models, replies, keys_file=tmp_path / "keys.toml")) as client:
        assert (await client.get(path)).status_code == 401
        for open_path in ("/health/live", "/health/ready", "/openapi.json"):
            assert (await client.get(open_path)).status_code == 200


def test_the_file_has_no_key_and_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"

    key = made_key(file)

    assert key not in file.read_text()
    assert key.removeprefix("spk_") not in file.read_text()
    assert file.stat().st_mode & 0o077 == 0


def test_a_key_that_is_revoked_is_refused_while_the_gateway_runs(tmp_path: Path) -> None:
    file, clock = tmp_path / "keys.toml", ManualClock()
    key = made_key(file)
    keys = KeyFile(file, clock)
    assert keys.find(key) is not None

    write_keys(file, [])
    clock.advance(2)

    assert keys.find(key) is None


def test_a_spoilt_file_of_keys_is_said_so(tmp_path: Path) -> None:
    for content in ("[[keys]]\nname = 5", "no toml", "[[keys]]\nname = 'a'\nwhat = 1"):
        (tmp_path / "keys.toml").write_text(content)
        with pytest.raises(SettingsError, match=r"keys\.toml"):
            read_keys(tmp_path / "keys.toml")


def test_a_file_of_keys_that_is_spoilt_meanwhile_changes_nothing_and_is_told_once(
    tmp_path: Path,
) -> None:
    file, clock = tmp_path / "keys.toml", ManualClock()
    key = made_key(file)
    good, keys = file.read_bytes(), KeyFile(file, clock)

    with capture_logs() as logs:
        file.write_text("[[keys]]\nname = ")
        for _ in range(3):
            clock.advance(2)
            assert keys.find(key) is not None
    write_keys(file, [])
    clock.advance(2)
    revoked = keys.find(key)
    file.write_bytes(good)
    clock.advance(2)

    assert [one["log_level"] for one in logs] == ["warning"]
    assert revoked is None
    assert keys.find(key) is not None


@pytest.mark.parametrize(
    "origin", ["http://[", "http://[::1", "null", "http://gateway.example]", "://"]
)
async def test_an_origin_that_is_none_is_refused(
    models: Path, replies: LocalReplies, origin: str
) -> None:
    async with asking(gateway_app(models, replies)) as client:
        refused = await client.post(ASK, json=BODY, headers={"Origin": origin})

    assert refused.status_code == 403


async def test_what_one_asked_another_does_not_find(
    models: Path, replies: LocalReplies, tmp_path: Path
) -> None:
    file = tmp_path / "keys.toml"
    ann, bob = made_key(file, "ann"), made_key(file, "bob")
    async with asking(gateway_app(models, replies, keys_file=file)) as client:
        asked = await client.post(ASK, json=BODY, headers=bearer(ann) | {"Prefer": "respond-async"})
        there = asked.headers["Location"]
        wait = {"Prefer": "wait=30"}
        found = await client.get(there, headers=bearer(ann) | wait)
        not_found = await client.get(there, headers=bearer(bob) | wait)
        key = {"Idempotency-Key": "1"}
        of_ann = await client.post(ASK, json=BODY, headers=bearer(ann) | key)
        of_bob = await client.post(ASK, json={"text": "bad"}, headers=bearer(bob) | key)

    assert (found.status_code, not_found.status_code) == (200, 404)
    assert (of_ann.status_code, of_bob.status_code) == (200, 200)


async def test_a_callers_minute_is_used_up_and_fills_again(
    models: Path, replies: LocalReplies, tmp_path: Path
) -> None:
    file, clock = tmp_path / "keys.toml", ManualClock()
    few = made_key(file, "few", requests_per_minute=2)
    many = made_key(file, "many")
    app = gateway_app(models, replies, clock, keys_file=file, requests_per_minute=100)
    async with asking(app) as client:

        async def status(key: str, body: object = BODY) -> httpx.Response:
            return await client.post(ASK, json=body, headers=bearer(key))

        assert (await status(few, [BODY, BODY])).status_code == 200
        refused = await status(few)
        assert (await status(many)).status_code == 200
        clock.advance(31)
        again = await status(few)

    assert refused.status_code == 429
    assert 29 <= int(refused.headers["Retry-After"]) <= 31
    assert refused.json()["type"] == "urn:streamproc:problem:too-many-requests"
    assert again.status_code == 200


async def test_characters_are_limited_whoever_asks(models: Path, replies: LocalReplies) -> None:
    app = gateway_app(models, replies, ManualClock(), characters_per_minute=100)
    async with asking(app) as client:
        # In bytes it would be twice as much.
        first = await client.post(ASK, json={"text": "é" * 60})
        second = await client.post(ASK, json={"text": "é" * 60})
        third = await client.post(ASK, json=BODY)

    assert (first.status_code, second.status_code, third.status_code) == (200, 200, 429)


@pytest.fixture(scope="module")
def issuer() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def key_set(file: Path, **keys: Any) -> Path:
    made = []
    for kid, key in keys.items():
        algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
        made.append(json.loads(algorithm.to_jwk(key.public_key())) | {"kid": kid, "use": "sig"})
    file.write_text(json.dumps({"keys": made}))
    return file


def token_of(key: Any, kid: str = "a", algorithm: str = "RS256", **changes: Any) -> str:
    claims = {
        "sub": "ann",
        "aud": "streamproc",
        "iss": "https://login",
        "exp": time.time() + 600,
        **changes,
    }
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, key, algorithm, headers={"kid": kid})


@pytest.fixture
async def with_tokens(
    models: Path, replies: LocalReplies, tmp_path: Path, issuer: rsa.RSAPrivateKey
) -> AsyncIterator[httpx.AsyncClient]:
    app = gateway_app(
        models,
        replies,
        jwks=str(key_set(tmp_path / "jwks.json", a=issuer)),
        jwt_audience="streamproc",
        jwt_issuer="https://login",
    )
    async with asking(app) as client:
        yield client


async def test_a_token_of_the_issuer_lets_in(
    with_tokens: httpx.AsyncClient, issuer: rsa.RSAPrivateKey
) -> None:
    answer = await with_tokens.post(ASK, json=BODY, headers=bearer(token_of(issuer)))

    assert answer.status_code == 200, answer.text


async def test_any_other_token_does_not(
    with_tokens: httpx.AsyncClient, issuer: rsa.RSAPrivateKey
) -> None:
    another = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    curve = ec.generate_private_key(ec.SECP256R1())
    public = json.loads(RSAAlgorithm.to_jwk(issuer.public_key()))["n"]
    tokens = {
        "another key": token_of(another),
        "unknown key": token_of(issuer, kid="b"),
        "expired": token_of(issuer, exp=time.time() - 3600),
        "for ever": token_of(issuer, exp=None),
        "for others": token_of(issuer, aud="others"),
        "by others": token_of(issuer, iss="https://others"),
        "nobody's": token_of(issuer, sub=None),
        "another algorithm": token_of(issuer, algorithm="RS512"),
        "a curve's": token_of(curve, algorithm="ES256"),
        "signed with the public key": token_of(public, algorithm="HS256"),
        "not signed": token_of(None, algorithm="none"),
        "no token": "a.b.c",
    }

    for why, token in tokens.items():
        answer = await with_tokens.post(ASK, json=BODY, headers=bearer(token))
        assert answer.status_code == 401, why
        assert token not in answer.text


async def test_keys_of_tokens_are_fetched_where_a_url_says(
    models: Path, replies: LocalReplies, tmp_path: Path, issuer: rsa.RSAPrivateKey
) -> None:
    fetched = []

    async def key_server(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            fetched.append(scope["path"])
            body = key_set(tmp_path / "jwks.json", a=issuer).read_bytes()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body})

    with listening(key_server) as address:
        app = gateway_app(
            models,
            replies,
            jwks=f"{address}/keys",
            jwt_audience="streamproc",
            jwt_issuer="https://login",
        )
        async with asking(app) as client:
            good = [
                await client.post(ASK, json=BODY, headers=bearer(token_of(issuer)))
                for _ in range(3)
            ]
            made_up = [
                await client.post(ASK, json=BODY, headers=bearer(token_of(issuer, kid=f"{n}")))
                for n in range(5)
            ]

    assert [one.status_code for one in good] == [200] * 3
    assert [one.status_code for one in made_up] == [401] * 5
    # However many keys callers make up.
    assert fetched == ["/keys"]


class KeyServer:
    """Answers with a body, or fails with an error, after some seconds of a clock.

    fetched: how often it was asked
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, clock: ManualClock) -> None:
        self.answer: bytes | Exception = b""
        self.takes_s = 0.0
        self.fetched = 0
        self._clock = clock
        monkeypatch.setattr(urllib.request, "build_opener", lambda *_: self)

    def open(self, *_: object, **__: object) -> io.BytesIO:
        self.fetched += 1
        self._clock.advance(self.takes_s)
        if isinstance(self.answer, Exception):
            raise self.answer
        return io.BytesIO(self.answer)


def checker(clock: ManualClock) -> TokenChecker:
    return TokenChecker(
        "https://login/keys",
        audience="streamproc",
        issuer="https://login",
        algorithms=["RS256"],
        clock=clock,
    )


async def test_all_who_wait_for_keys_that_are_away_are_told_by_one_fetch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, issuer: rsa.RSAPrivateKey
) -> None:
    clock = ManualClock()
    server, tokens = KeyServer(monkeypatch, clock), checker(clock)
    server.answer, server.takes_s = TimeoutError("timed out"), FETCH_TIMEOUT_S
    token = token_of(issuer)

    told = await asyncio.gather(*(tokens.subject(token) for _ in range(30)), return_exceptions=True)

    assert {type(one) for one in told} == {GatewayProblem}
    assert {str(one).partition(":")[0] for one in told} == {"key-set-away"}
    assert server.fetched == 1
    server.answer, server.takes_s = key_set(tmp_path / "jwks.json", a=issuer).read_bytes(), 0
    with pytest.raises(GatewayProblem, match="key-set-away"):
        await tokens.subject(token)
    clock.advance(FETCH_TIMEOUT_S)
    assert await tokens.subject(token) == "ann"
    assert server.fetched == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>back soon</html>",
        b"\xff",
        b"[" * 100_000,
        b"[]",
        b"{}",
        b'{"keys": {"a": 1}}',
        b'{"keys": [1]}',
        b'{"keys": [{"kty": 5}]}',
        ConnectionResetError("reset"),
        ssl.SSLError("no TLS"),
        http.client.IncompleteRead(b""),
        urllib.error.URLError("refused"),
    ],
    ids=lambda answer: str(answer)[:20],
)
async def test_what_is_no_key_set_is_one_that_is_away_and_known_keys_stay(
    answer: bytes | Exception,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    issuer: rsa.RSAPrivateKey,
) -> None:
    clock = ManualClock()
    server, tokens = KeyServer(monkeypatch, clock), checker(clock)
    server.answer = answer
    with pytest.raises(GatewayProblem, match="key-set-away"):
        await tokens.subject(token_of(issuer))

    clock.advance(FETCH_TIMEOUT_S)
    server.answer = key_set(tmp_path / "jwks.json", a=issuer).read_bytes()
    assert await tokens.subject(token_of(issuer)) == "ann"

    clock.advance(KEPT_S + 1)
    server.answer = answer
    assert await tokens.subject(token_of(issuer)) == "ann"
    assert server.fetched == 3


def test_tokens_need_an_audience_and_an_issuer(
    models: Path, replies: LocalReplies, tmp_path: Path, issuer: rsa.RSAPrivateKey
) -> None:
    jwks = str(key_set(tmp_path / "jwks.json", a=issuer))
    with pytest.raises(SettingsError, match="JWT_AUDIENCE"):
        gateway_app(models, replies, jwks=jwks, jwt_issuer="https://login")
    with pytest.raises(SettingsError, match="HS256"):
        read_gateway_settings(jwt_algorithms="RS256,HS256")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "gateway.example.com"])  # noqa: S104
def test_a_gateway_does_not_listen_to_a_network_without_keys(host: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="gateway keys add"):
        require_keys(GatewaySettings(host=host))

    require_keys(GatewaySettings(host=host, without_keys=True))
    require_keys(GatewaySettings(host=host, keys_file=tmp_path / "keys.toml"))
    for own in ("127.0.0.1", "::1", "localhost"):
        require_keys(GatewaySettings(host=own))


async def test_a_page_of_another_server_may_not_ask(models: Path, replies: LocalReplies) -> None:
    async with asking(gateway_app(models, replies)) as client:
        other = await client.post(ASK, json=BODY, headers={"Origin": "https://evil.example"})
        own = await client.post(ASK, json=BODY, headers={"Origin": "http://127.0.0.1"})
        rebound = await client.post(ASK, json=BODY, headers={"Host": "evil.example"})

    assert (other.status_code, own.status_code, rebound.status_code) == (403, 200, 403)
    assert "access-control-allow-origin" not in other.headers


async def test_pages_that_are_listed_may_ask(models: Path, replies: LocalReplies) -> None:
    app = gateway_app(models, replies, cors_origins=("https://app.example",))
    async with asking(app) as client:
        asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
        before = await client.options(ASK, headers=asked)
        listed = await client.post(ASK, json=BODY, headers={"Origin": "https://app.example"})
        other = await client.post(ASK, json=BODY, headers={"Origin": "https://evil.example"})

    assert before.status_code == 200
    assert listed.headers["access-control-allow-origin"] == "https://app.example"
    assert (listed.status_code, other.status_code) == (200, 403)
    assert "access-control-allow-origin" not in other.headers


async def test_a_body_that_is_too_large_is_not_read_to_its_end(
    models: Path, replies: LocalReplies
) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 100 << 20:
            sent += 1024
            yield b"[" * 1024

    async with asking(gateway_app(models, replies, max_body_bytes=10_000)) as client:
        for path in (ASK, "/models/sentiment", "/v1/classify", "/v2/models/sentiment/infer"):
            sent = 0
            answer = await client.post(path, content=endless())
            assert answer.status_code == 413, path
            assert sent < 20_000


async def test_a_body_that_does_not_come_is_not_waited_for(
    models: Path, replies: LocalReplies
) -> None:
    async def stalled() -> AsyncIterator[bytes]:
        yield b'{"text": '
        await asyncio.sleep(3600)

    async with asking(gateway_app(models, replies, body_timeout_s=0.2)) as client:
        for path in (ASK, "/v1/classify"):
            answer = await client.post(path, content=stalled())
            assert answer.status_code == 408, path
            assert answer.headers["Connection"] == "close"


async def test_headers_that_are_too_large_are_refused_as_each_client_reads_it(
    models: Path, replies: LocalReplies
) -> None:
    async with asking(gateway_app(models, replies, max_header_bytes="4KiB")) as client:
        fits = await client.post(ASK, json=BODY, headers={"X-Long": "z" * 3000})
        own = await client.post(ASK, json=BODY, headers={"X-Long": "z" * 5000})
        line = await client.get("/v1/models", params={"q": "z" * 5000})

    assert fits.status_code == 200
    assert (own.status_code, own.headers["content-type"]) == (431, "application/problem+json")
    assert own.json()["type"] == "urn:streamproc:problem:headers-too-large"
    assert "STREAMPROC_GATEWAY_MAX_HEADER_BYTES" in own.json()["detail"]
    assert (line.status_code, line.json()["error"]["type"]) == (431, "headers-too-large")
