# SPDX-License-Identifier: GPL-3.0-or-later
"""Dokploy's answers in few words, for the tests that script them."""

from __future__ import annotations

from typing import Any

from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import DokployClient

from tests.unit.plugins.scripted import Call, FakeClock, ScriptedTransport, answer

URL = "http://127.0.0.1:3000"
KEY = "the-api-key-0123456789"
APPLICATION_ID = "iKGxALnfjMm3lPX3CDY-e"
APP_NAME = "shop-api-jmwfym"


def client_for(clock: FakeClock, *calls: Call) -> tuple[DokployClient, ScriptedTransport]:
    transport = ScriptedTransport(clock, *calls)
    return DokployClient(URL, KEY, transport, clock), transport


def get(procedure: str, body: object, status: int = 200, takes: float = 0.0, **params: str) -> Call:
    return Call("GET", f"/api/{procedure}", answer(body, status), params=params, takes=takes)


def post(procedure: str, body: dict[str, Any], told: object = None, status: int = 200, takes: float = 0.0) -> Call:
    return Call("POST", f"/api/{procedure}", answer(told, status), body=body, takes=takes)


def problem(message: str, code: str, status: int, path: str | None) -> dict[str, Any]:
    data: dict[str, Any] = {"code": code, "httpStatus": status, "zodError": None}
    return {"message": message, "code": code, "data": {**data, "path": path} if path else data}


def row(**columns: Any) -> dict[str, Any]:
    """application.one, with what must never be shown."""
    return {
        "applicationId": APPLICATION_ID,
        "name": "api",
        "appName": APP_NAME,
        "description": "the api",
        "applicationStatus": "done",
        "sourceType": "docker",
        "dockerImage": "lab/api:1.4.0",
        "replicas": 2,
        "serverId": None,
        "modeSwarm": None,
        "env": "DATABASE_URL=postgresql://s3cr3t",
        "buildArgs": "s3cr3t",
        "buildSecrets": "s3cr3t",
        "password": "s3cr3t",
        "refreshToken": "s3cr3t",
        "environment": {"name": "production", "env": "s3cr3t", "project": {"name": "shop", "env": "s3cr3t"}},
        **columns,
    }


def one(**columns: Any) -> Call:
    return get("application.one", row(**columns), applicationId=APPLICATION_ID)


def task(state: str, identity: str = "t1", desired: str = "running", error: str = "") -> dict[str, str]:
    return {
        "containerId": identity,
        "name": f"{APP_NAME}.1",
        "state": desired,
        "currentState": f"{state} 2 seconds ago",
        "node": "vm",
        "error": error,
    }


def tasks(*rows: dict[str, str], takes: float = 0.0) -> Call:
    return get("docker.getServiceContainersByAppName", list(rows), takes=takes, appName=APP_NAME)


def no_docker() -> Call:
    body = problem('unauthorized to access resource "docker"', "UNAUTHORIZED", 401, "docker.x")
    return get("docker.getServiceContainersByAppName", body, 401, appName=APP_NAME)


def queue(*jobs: dict[str, Any]) -> Call:
    return get("deployment.queueList", list(jobs))


def job(application_id: str = APPLICATION_ID, state: str = "active") -> dict[str, Any]:
    return {
        "id": "job-8",
        "data": {"applicationId": application_id, "titleLog": "release 2", "type": "deploy"},
        "state": state,
    }


def records(*statuses: str) -> Call:
    rows = [
        {"deploymentId": f"d{n}", "title": f"release {n}", "status": status, "createdAt": "2026-11-22T01:00:00.000Z"}
        for n, status in enumerate(statuses)
    ]
    return get("deployment.all", rows, applicationId=APPLICATION_ID)


# --- compose and databases

COMPOSE_ID = "S-QBvyFGf5LS4uwgN1N8U"
COMPOSE_APP_NAME = "shop-compose-co5r4p"
DATABASE_ID = "ThBgTPgKfQLNOluU9q441"
DATABASE_APP_NAME = "shop-db-ct0pth"
_ENVIRONMENT = {"name": "production", "env": "s3cr3t", "project": {"name": "shop", "env": "s3cr3t"}}


def compose_row(**columns: Any) -> dict[str, Any]:
    """compose.one, with what must never be shown."""
    return {
        "composeId": COMPOSE_ID,
        "name": "monitoring",
        "appName": COMPOSE_APP_NAME,
        "description": None,
        "composeStatus": "done",
        "composeType": "docker-compose",
        "sourceType": "raw",
        "autoDeploy": True,
        "serverId": None,
        "env": "s3cr3t",
        "composeFile": "s3cr3t",
        "refreshToken": "s3cr3t",
        "environment": _ENVIRONMENT,
        "backups": [],
        **columns,
    }


def compose_one(**columns: Any) -> Call:
    return get("compose.one", compose_row(**columns), composeId=COMPOSE_ID)


def database_row(**columns: Any) -> dict[str, Any]:
    """postgres.one, with what must never be shown."""
    return {
        "postgresId": DATABASE_ID,
        "name": "db",
        "appName": DATABASE_APP_NAME,
        "description": None,
        "applicationStatus": "done",
        "dockerImage": "postgres:18",
        "replicas": 1,
        "serverId": None,
        "databasePassword": "s3cr3t",
        "env": "s3cr3t",
        "environment": _ENVIRONMENT,
        "backups": [],
        **columns,
    }


def database_one(**columns: Any) -> Call:
    return get("postgres.one", database_row(**columns), postgresId=DATABASE_ID)


def container(name: str, state: str = "running", status: str = "Up 3 seconds", identity: str = "c1") -> dict[str, str]:
    return {"containerId": identity, "name": name, "state": state, "status": status}


def containers(*rows: dict[str, str], app_name: str = APP_NAME, takes: float = 0.0, **params: str) -> Call:
    return get("docker.getContainersByAppNameMatch", list(rows), takes=takes, appName=app_name, **params)


def config_of(identity: str, image: str, image_id: str = "sha256:1") -> Call:
    """docker.getConfig, with what must never be shown."""
    body = {"Id": identity, "Image": image_id, "Config": {"Image": image, "Env": ["SOME=s3cr3t"]}}
    return get("docker.getConfig", body, containerId=identity)
