# SPDX-License-Identifier: GPL-3.0-or-later
"""One call in, one value or one telling exception out."""

from __future__ import annotations

import pytest
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy import client as dokploy
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError

from tests.unit.plugins.dokploy_answers import KEY, URL, client_for, get, post, problem
from tests.unit.plugins.scripted import Call, FakeClock, ScriptedTransport, answer


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
