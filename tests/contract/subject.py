# SPDX-License-Identifier: GPL-3.0-or-later
"""The Dokploy under test, whatever it is: what the suite may use of it, and what it has made there."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.vedfinance.platform.plugins.module_utils._clock import SystemClock
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import (
    DokployClient,
    DokployError,
    NotFound,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._http import RequestsTransport

from tests.modules import run_module

Result = dict[str, Any]


class UnusableConfig(Exception):
    """The file of CONTRACT_CONFIG does not say what it must."""


@dataclass(frozen=True)
class Images:
    good: tuple[str, str]
    crashing: str | None = None
    missing: str | None = None


@dataclass(frozen=True)
class Git:
    url: str
    branch: str
    older: str | None = None
    failing: str | None = None
    build_type: str = "dockerfile"


@dataclass(frozen=True)
class Config:
    """See config.example.yml."""

    project: str
    images: Images
    environment: str = "production"
    prefix: str = "contract-"
    application: str | None = None
    env: str = ""
    registry: str | None = None
    git: Git | None = None
    compose: str | None = None
    stack: str | None = None
    stable_for: float = 10.0
    timeout: float = 300.0

    @classmethod
    def read(cls, path: Path) -> Config:
        try:
            return cls.from_document(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (OSError, yaml.YAMLError, TypeError, ValueError, KeyError) as error:
            raise UnusableConfig(f"CONTRACT_CONFIG={path}: {error}. See tests/contract/config.example.yml.") from error

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Config:
        given = dict(document)
        images = dict(given.pop("images"))
        first, second = images.pop("good")
        git = given.pop("git", None)
        return cls(images=Images((first, second), **images), git=Git(**git) if git else None, **given)


@dataclass
class Service:
    """A service of Dokploy that the suite has made, as the modules are told of it."""

    subject: Subject
    id: str
    name: str
    option: str = "application"

    def module(self, module: str, *, check: bool = False, **options: Any) -> Result:
        return self.subject.module(module, check=check, **{f"{self.option}_id": self.id}, **options)

    def deploy(self, *, check: bool = False, **options: Any) -> Result:
        config = self.subject.config
        timing = {"stable_for": config.stable_for, "wait_timeout": config.timeout}
        return self.module("dokploy_deploy", check=check, **{**timing, **options})

    def rollback(self, *, check: bool = False, **options: Any) -> Result:
        config = self.subject.config
        timing = {"stable_for": config.stable_for, "wait_timeout": config.timeout}
        return self.module("dokploy_rollback", check=check, **{**timing, **options})

    def service(self, state: str, **options: Any) -> Result:
        timing = {"stable_for": min(3.0, self.subject.config.stable_for), "wait_timeout": self.subject.config.timeout}
        return self.module("dokploy_service", **{"state": state, **timing, **options})

    def info(self, **options: Any) -> Result:
        return self.module("dokploy_info", **options)

    def runs(self) -> set[str]:
        """The images of what is to run; a container that is being stopped is none of it."""
        info = self.info()
        wanted = {task["id"] for task in info["tasks"] if task["desired"] == task["state"] == "running"}
        return {image["reference"] for image in info["images"] if image["task"] in wanted}


@dataclass
class Subject:
    url: str
    api_key: str
    config: Config
    client: DokployClient = field(init=False)
    _made: list[Callable[[], object]] = field(default_factory=list)
    _environment_id: str = ""

    def __post_init__(self) -> None:
        self.client = DokployClient(self.url, self.api_key, RequestsTransport(), SystemClock(), self.config.timeout)

    def module(self, module: str, *, check: bool = False, **options: Any) -> Result:
        credentials = {"dokploy_url": self.url, "dokploy_api_key": self.api_key}
        result = run_module(module, {**credentials, "request_timeout": 120, **options}, check=check)
        assert self.api_key not in str(result)
        return result

    # -- making --------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """The project to work in, without what a former run has left."""
        project = self._project() or self._new_project()
        environment = _named(project["environments"], self.config.environment)
        if environment is None:
            raise UnusableConfig(f"The project {self.config.project} has no environment {self.config.environment}.")
        self._environment_id = environment["environmentId"]
        for kind, removed in ("applications", self._remove_application), ("compose", self._remove_compose):
            for row in environment.get(kind) or []:
                if row["name"].startswith(self.config.prefix):
                    removed(row["applicationId" if kind == "applications" else "composeId"])

    def _project(self) -> Any:
        projects: Any = self.client.get("project.all")
        return _named(projects, self.config.project)

    def _new_project(self) -> Any:
        self.client.post("project.create", name=self.config.project)
        return self._project()

    def application(self, image: str | None = None, git_ref: str | None = None, replicas: int = 1) -> Service:
        """A new one, not deployed yet, from an image or from the repository."""
        name = self._name("api")
        row: Any = self.client.post("application.create", name=name, environmentId=self._environment_id, appName=name)
        identity = row["applicationId"]
        self._made.append(partial(self._remove_application, identity))
        if image:
            self.client.post(
                "application.saveDockerProvider",
                applicationId=identity,
                dockerImage=image,
                username=None,
                password=None,
                registryUrl=None,
            )
        if git_ref:
            self._from_git(identity, git_ref)
        self.client.post("application.update", applicationId=identity, env=self.config.env, replicas=replicas)
        return Service(self, identity, name)

    def _from_git(self, identity: str, branch: str) -> None:
        git = self.config.git
        assert git
        self.client.post(
            "application.saveGitProvider",
            applicationId=identity,
            customGitUrl=git.url,
            customGitBranch=branch,
            customGitBuildPath="/",
            watchPaths=[],
        )
        paths = {"dockerfile": "Dockerfile", "dockerContextPath": "", "dockerBuildStage": ""}
        versions = {"herokuVersion": None, "railpackVersion": None}
        self.client.post(
            "application.saveBuildType", applicationId=identity, buildType=git.build_type, **paths, **versions
        )

    def compose(self, compose_type: str, file: str) -> Service:
        name = self._name("compose")
        row: Any = self.client.post(
            "compose.create",
            name=name,
            environmentId=self._environment_id,
            composeType=compose_type,
            appName=name,
        )
        identity = row["composeId"]
        self._made.append(partial(self._remove_compose, identity))
        self.client.post("compose.update", composeId=identity, sourceType="raw", composeFile=file, env=self.config.env)
        return Service(self, identity, name, "compose")

    def _name(self, kind: str) -> str:
        return f"{self.config.prefix}{kind}-{secrets.token_hex(3)}"

    # -- removing ------------------------------------------------------------------------------------------------

    def clean(self) -> None:
        while self._made:
            self._made.pop()()

    def _remove_application(self, identity: str) -> None:
        """Deleted while it is being built, it would come back."""
        deadline = time.monotonic() + self.config.timeout
        with suppress(NotFound):
            while self._builds(identity) and time.monotonic() < deadline:
                time.sleep(0.5)
            self.client.post("application.delete", applicationId=identity)

    def _builds(self, identity: str) -> bool:
        records: Any = self.client.get("deployment.all", applicationId=identity)
        return any(row["status"] == "running" for row in records)

    def _remove_compose(self, identity: str) -> None:
        with suppress(NotFound):
            self.client.post("compose.delete", composeId=identity, deleteVolumes=True)

    def logs_of(self, deployment: str) -> str:
        try:
            return str(self.client.get("deployment.readLogs", deploymentId=deployment, tail="1000"))
        except DokployError as error:
            return str(error)


def _named(rows: Any, name: str) -> Any:
    return next((row for row in rows if row["name"] == name), None)
