# SPDX-License-Identifier: GPL-3.0-or-later
"""One call in, one value or one telling exception out."""

from __future__ import annotations

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy import client as dokploy
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._http import TransportError

from tests.unit.plugins.dokploy_answers import KEY, URL, client_for, get, post, problem
from tests.unit.plugins.scripted import Call, FakeClock, ScriptedTransport, answer, refused


@pytest.mark.parametrize("url", [URL, f"{URL}/", f"{URL}/api", f"{URL}/api/", f" {URL} "])
def test_the_url_may_end_as_people_write_it(url: str) -> None:
    clock = FakeClock()
    transport = ScriptedTransport(clock, Call("GET", "/api/x.y", answer(1), headers={"x-api-key": KEY}))
    assert dokploy.DokployClient(url, KEY, transport, clock).get("x.y") == 1


def test_a_key_does_not_cross_a_network_in_clear() -> None:
    clock = FakeClock()
    with pytest.raises(PlatformError, match="the API key would cross"):
        dokploy.DokployClient("http://vps.test:3000", KEY, ScriptedTransport(clock), clock)
    dokploy.DokployClient("http://vps.test:3000", KEY, ScriptedTransport(clock), clock, allow_plain_http=True)


def test_an_empty_key_is_refused() -> None:
    clock = FakeClock()
    with pytest.raises(PlatformError, match="dokploy_api_key is empty"):
        dokploy.DokployClient(URL, " ", ScriptedTransport(clock), clock)


def test_parameters_body_and_an_empty_success() -> None:
    client, transport = client_for(
        FakeClock(), get("a.one", {"x": 1}, id="-7"), post("a.deploy", {"applicationId": "-7"})
    )
    assert client.get("a.one", id="-7") == {"x": 1}
    assert client.post("a.deploy", applicationId="-7") is None
    assert transport.requests[1].headers["Content-Type"] == "application/json"
    assert "Content-Type" not in transport.requests[0].headers


def failed(status: int, body: object, **headers: str) -> dokploy.DokployError:
    client, _calls = client_for(FakeClock(), Call("POST", "/api/a.b", answer(body, status, headers=headers), body={}))
    with pytest.raises(dokploy.DokployError) as caught:
        client.post("a.b")
    assert KEY not in str(caught.value)
    assert caught.value.details == {"procedure": "a.b", "status": status}
    return caught.value


def test_the_two_kinds_of_401() -> None:
    gate = failed(401, {"message": "Unauthorized"})
    assert isinstance(gate, dokploy.KeyRejected)
    assert "rateLimitEnabled: false" in str(gate)
    permission = failed(401, problem('unauthorized to access resource "docker"', "UNAUTHORIZED", 401, "a.b"))
    assert isinstance(permission, dokploy.NotPermitted)
    assert 'may not call a.b: unauthorized to access resource "docker"' in str(permission)


def test_403_is_a_matter_of_permission() -> None:
    assert isinstance(failed(403, problem("no", "FORBIDDEN", 403, "a.b")), dokploy.NotPermitted)


def test_the_two_kinds_of_404() -> None:
    assert isinstance(failed(404, problem("Application not found", "NOT_FOUND", 404, "a.b")), dokploy.NotFound)
    assert isinstance(failed(404, problem("Not found", "NOT_FOUND", 404, None)), dokploy.UnknownProcedure)


@pytest.mark.parametrize("status", [200, 401, 404])
def test_something_else_answers_with_html(status: int) -> None:
    error = failed(status, b"<!doctype html>", **{"content-type": "text/html; charset=utf-8"})
    assert isinstance(error, dokploy.NotDokploy)
    assert "text/html, which is not Dokploy's API" in str(error)


def test_a_redirect_is_told_and_not_followed() -> None:
    error = failed(308, b"", location="https://dokploy.test/api/a.b")
    assert isinstance(error, dokploy.NotDokploy)
    assert "redirects a.b to https://dokploy.test/api/a.b" in str(error)


def test_plain_text_is_understood() -> None:
    error = failed(400, b"Invalid JSON")
    assert isinstance(error, dokploy.Rejected)
    assert "Invalid JSON" in str(error)


def test_a_proxy_in_front_of_a_dead_dokploy() -> None:
    error = failed(502, b"<html>Bad Gateway", **{"content-type": "text/html"})
    assert isinstance(error, dokploy.ServerFailed)
    assert "Is Dokploy running" in str(error)


def test_validation_names_the_fields() -> None:
    body = {**problem("Input validation failed", "BAD_REQUEST", 400, "a.b"), "issues": [{"path": ["appName"]}]}
    assert "Input validation failed (appName)" in str(failed(400, body))


def test_command_lines_of_the_server_are_not_repeated() -> None:
    message = (
        f"Command execution failed: Command failed: rclone --key=hidden {KEY}\n2026 Failed to ls: no bucket {KEY}\n"
    )
    told = str(failed(400, problem(message, "BAD_REQUEST", 400, "a.b")))
    assert "Failed to ls: no bucket ***" in told
    assert "hidden" not in told


def test_long_messages_are_clipped() -> None:
    assert len(str(failed(500, problem("x" * 5000, "INTERNAL_SERVER_ERROR", 500, "a.b")))) < 500


@pytest.mark.parametrize("version", ["v0.25.0", "v0.30.2", "v1.0.0", "canary"])
def test_versions_that_are_understood(version: str) -> None:
    client, _calls = client_for(FakeClock(), get("settings.getDokployVersion", version))
    assert client.version() == version


def test_an_old_version_is_refused() -> None:
    client, _calls = client_for(FakeClock(), get("settings.getDokployVersion", "v0.24.9"))
    with pytest.raises(PlatformError, match=r"is v0\.24\.9; at least 0\.25\.0"):
        client.version()


def test_json_that_is_no_version() -> None:
    client, _calls = client_for(FakeClock(), get("settings.getDokployVersion", {"ok": True}))
    with pytest.raises(dokploy.NotDokploy, match="does not tell a version"):
        client.version()


# --- keys and their limits


def test_a_key_that_just_worked_has_used_up_its_rate_limit() -> None:
    gate = Call("GET", "/api/b.all", answer({"message": "Unauthorized"}, 401))
    client, _calls = client_for(FakeClock(), get("a.one", {"x": 1}), gate)
    client.get("a.one")
    with pytest.raises(dokploy.KeyRejected) as caught:
        client.get("b.all")
    told = str(caught.value)
    assert told.startswith(f"The rate limit of the API key is used up: Dokploy at {URL} took it a moment ago")
    assert "verifies a key twice per request" in told
    assert "rateLimitEnabled: false" in told


@pytest.mark.parametrize("status", [404, 500])
def test_a_refusal_is_no_proof_that_the_key_worked(status: int) -> None:
    """A proxy may have answered for Dokploy."""
    client, _calls = client_for(
        FakeClock(),
        get("a.one", problem("no", "X", status, None), status),
        Call("GET", "/api/b.all", answer({"message": "Unauthorized"}, 401)),
    )
    with pytest.raises(dokploy.DokployError):
        client.get("a.one")
    with pytest.raises(dokploy.KeyRejected, match="wrong, expired or revoked, or its rate limit"):
        client.get("b.all")


# --- repeats


def test_a_mutation_is_repeated_only_when_nothing_was_sent() -> None:
    client, transport = client_for(
        FakeClock(), Call("POST", "/api/a.deploy", refused(URL), body={}), post("a.deploy", {}, True)
    )
    assert client.post("a.deploy") is True
    transport.assert_all_made()


@pytest.mark.parametrize("kind", ["timeout", "reset", "too_large"])
def test_a_mutation_whose_answer_was_lost_may_have_taken_effect(kind: str) -> None:
    lost = TransportError(kind, "No answer.")
    client, transport = client_for(FakeClock(), Call("POST", "/api/a.deploy", lost, body={}))
    with pytest.raises(TransportError, match=r"a\.deploy may have taken effect all the same"):
        client.post("a.deploy")
    transport.assert_all_made()


def test_a_question_is_asked_again() -> None:
    reset = Call("GET", "/api/a.one", TransportError("reset", "No answer."))
    busy = Call("GET", "/api/a.one", answer(status=503))
    client, transport = client_for(FakeClock(), reset, busy, get("a.one", 1))
    assert client.get("a.one") == 1
    transport.assert_all_made()


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_mutation_that_a_proxy_answered_is_not_repeated(status: int) -> None:
    call = Call("POST", "/api/a.deploy", answer(b"busy", status), body={})
    client, transport = client_for(FakeClock(), call)
    with pytest.raises(dokploy.DokployError):
        client.post("a.deploy")
    transport.assert_all_made()


# --- redirects


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize(
    ("location", "hint"),
    [
        ("https://127.0.0.1:3000/api/a.b", "set dokploy_url to https://127.0.0.1:3000."),
        ("/api/a.b/", "It only wants another path"),
        ("https://elsewhere.test/api/a.b", "if that is your Dokploy"),
        ("", "It only wants another path"),
    ],
)
def test_redirects_are_explained_and_never_followed(status: int, location: str, hint: str) -> None:
    error = failed(status, b"", location=location)
    assert isinstance(error, dokploy.NotDokploy)
    assert hint in str(error)
    assert "the key is not sent there" in str(error)


def test_a_redirect_with_credentials_does_not_repeat_them() -> None:
    told = str(failed(302, b"", location="https://user:s3cr3t@127.0.0.1:3000/login?token=s3cr3t"))
    assert "s3cr3t" not in told


# --- secrets

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.s3cr3t-signature"
RCLONE = "rclone ls --s3-access-key-id=s3cr3t --s3-secret-access-key=s3cr3t --s3-endpoint=http\\://s3.test \\:s3\\:b"


@pytest.mark.parametrize(
    "message",
    [
        f"Command execution failed: Command failed: {RCLONE}\nFailed to ls: no bucket",
        f"{RCLONE} failed",
        f"Command failed: set -eo pipefail\nexport PGPASSWORD=s3cr3t\nX=$({RCLONE})\nFailed to ls: no bucket",
        "Command failed: docker login\ndocker login -u lab --password s3cr3t r.test || exit 1\nFailed to ls: no bucket",
        "Command failed: x\necho s3cr3t | docker login --password-stdin\nFailed to ls: no bucket",
        "docker login -u lab --password s3cr3t",
        "cannot reach postgresql://shop:s3cr3t@db:5432/shop",
        "cannot clone https://x-access-token:s3cr3t@git.test/shop.git",
        "POST /api/deploy/s3cr3t-token_1 failed",
        "POST https://dokploy.test/api/deploy/compose/s3cr3t-token_1 failed",
        f"bad session {JWT}",
        "header x-api-key: s3cr3t",
        "Authorization: Bearer s3cr3t-0123456789",
        "bad line APP_PEPPER=s3cr3t",
        "bad line PEPPER='s3cr3t with spaces'",
        'bad line PEPPER="s3cr3t with spaces"',
        '{"databasePassword":"s3cr3t"}',
        "-----BEGIN OPENSSH PRIVATE KEY-----\ns3cr3t\n-----END OPENSSH PRIVATE KEY-----",
    ],
)
@pytest.mark.parametrize("status", [400, 401, 404, 500])
def test_no_planted_secret_is_repeated(message: str, status: int) -> None:
    told = str(failed(status, problem(message, "X", status, "a.b")))
    assert "s3cr3t" not in told
    if message.startswith("Command"):
        assert "Failed to ls: no bucket" in told


@pytest.mark.parametrize("status", [400, 500])
def test_no_planted_secret_of_a_plain_text_is_repeated(status: int) -> None:
    assert "s3cr3t" not in str(failed(status, f"Invalid JSON: {RCLONE}".encode()))


def test_odd_issues_do_not_hide_the_answer() -> None:
    body = {**problem("Input validation failed", "X", 400, "a.b"), "issues": ["odd", {"path": []}, {"path": ["x"]}]}
    assert "Input validation failed (x)" in str(failed(400, body))
