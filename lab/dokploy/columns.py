# SPDX-License-Identifier: GPL-3.0-or-later
"""The columns of an application, in order: the default of a new one, and what an update accepts."""

from __future__ import annotations

from typing import Any

from lab.dokploy.schema import (
    FLAG,
    LIST,
    NAME,
    NULLABLE_FLAG,
    NULLABLE_NUMBER,
    NUMBER,
    OBJECT,
    OPTIONAL_TEXT,
    TEXT,
    Field,
    choice,
)

_BUILD_TYPES = ("dockerfile", "heroku_buildpacks", "paketo_buildpacks", "nixpacks", "static", "railpack")
_SOURCES = ("github", "docker", "git", "gitlab", "bitbucket", "gitea", "drop")
_STATUSES = ("idle", "running", "done", "error")

# column: (default, what an update accepts; None when an update cannot set it)
_COLUMNS: dict[str, tuple[Any, Field | None]] = {
    "applicationId": (None, None),
    "name": (None, NAME),
    "appName": (None, None),
    "description": (None, TEXT),
    "env": (None, TEXT),
    "previewEnv": (None, TEXT),
    "watchPaths": (None, LIST),
    "previewBuildArgs": (None, TEXT),
    "previewBuildSecrets": (None, TEXT),
    "previewLabels": (None, LIST),
    "previewWildcard": (None, TEXT),
    "previewPort": (3000, NULLABLE_NUMBER),
    "previewHttps": (False, FLAG),
    "previewPath": ("/", TEXT),
    "previewCertificateType": ("none", choice("letsencrypt", "none", "custom")),
    "previewCustomCertResolver": (None, TEXT),
    "previewLimit": (3, NULLABLE_NUMBER),
    "isPreviewDeploymentsActive": (False, NULLABLE_FLAG),
    "previewRequireCollaboratorPermissions": (True, NULLABLE_FLAG),
    "rollbackActive": (False, NULLABLE_FLAG),
    "buildArgs": (None, TEXT),
    "buildSecrets": (None, TEXT),
    "memoryReservation": (None, TEXT),
    "memoryLimit": (None, TEXT),
    "cpuReservation": (None, TEXT),
    "cpuLimit": (None, TEXT),
    "title": (None, TEXT),
    "enabled": (None, NULLABLE_FLAG),
    "subtitle": (None, TEXT),
    "command": (None, TEXT),
    "args": (None, LIST),
    "icon": (None, TEXT),
    "refreshToken": (None, TEXT),
    "sourceType": ("github", choice(*_SOURCES)),
    "cleanCache": (False, NULLABLE_FLAG),
    "repository": (None, TEXT),
    "owner": (None, TEXT),
    "branch": (None, TEXT),
    "buildPath": ("/", TEXT),
    "triggerType": ("push", choice("push", "tag", nullable=True)),
    "autoDeploy": (True, NULLABLE_FLAG),
    "gitlabProjectId": (None, NULLABLE_NUMBER),
    "gitlabRepository": (None, TEXT),
    "gitlabOwner": (None, TEXT),
    "gitlabBranch": (None, TEXT),
    "gitlabBuildPath": ("/", TEXT),
    "gitlabPathNamespace": (None, TEXT),
    "giteaRepository": (None, TEXT),
    "giteaOwner": (None, TEXT),
    "giteaBranch": (None, TEXT),
    "giteaBuildPath": ("/", TEXT),
    "bitbucketRepository": (None, TEXT),
    "bitbucketRepositorySlug": (None, TEXT),
    "bitbucketOwner": (None, TEXT),
    "bitbucketBranch": (None, TEXT),
    "bitbucketBuildPath": ("/", TEXT),
    "username": (None, TEXT),
    "password": (None, TEXT),
    "dockerImage": (None, TEXT),
    "registryUrl": (None, TEXT),
    "customGitUrl": (None, TEXT),
    "customGitBranch": (None, TEXT),
    "customGitBuildPath": (None, TEXT),
    "customGitSSHKeyId": (None, TEXT),
    "enableSubmodules": (False, FLAG),
    "dockerfile": ("Dockerfile", TEXT),
    "dockerContextPath": (None, TEXT),
    "dockerBuildStage": (None, TEXT),
    "dropBuildPath": (None, TEXT),
    "healthCheckSwarm": (None, OBJECT),
    "restartPolicySwarm": (None, OBJECT),
    "placementSwarm": (None, OBJECT),
    "updateConfigSwarm": (None, OBJECT),
    "rollbackConfigSwarm": (None, OBJECT),
    "modeSwarm": (None, OBJECT),
    "labelsSwarm": (None, OBJECT),
    "networkSwarm": (None, LIST),
    "stopGracePeriodSwarm": (None, NULLABLE_NUMBER),
    "endpointSpecSwarm": (None, OBJECT),
    "ulimitsSwarm": (None, LIST),
    "replicas": (1, NUMBER),
    "applicationStatus": ("idle", choice(*_STATUSES)),
    "buildType": ("nixpacks", choice(*_BUILD_TYPES)),
    "railpackVersion": ("0.15.4", TEXT),
    "herokuVersion": ("24", TEXT),
    "publishDirectory": (None, TEXT),
    "isStaticSpa": (None, NULLABLE_FLAG),
    "createEnvFile": (True, FLAG),
    "createdAt": (None, OPTIONAL_TEXT),
    "registryId": (None, TEXT),
    "rollbackRegistryId": (None, TEXT),
    "environmentId": (None, OPTIONAL_TEXT),
    "githubId": (None, TEXT),
    "gitlabId": (None, TEXT),
    "giteaId": (None, TEXT),
    "bitbucketId": (None, TEXT),
    "serverId": (None, None),
    "buildServerId": (None, TEXT),
    "buildRegistryId": (None, TEXT),
    "networkIds": ([], LIST),
    "detachDokployNetwork": (False, FLAG),
}

UPDATABLE: dict[str, Field] = {name: field for name, (_default, field) in _COLUMNS.items() if field is not None}


def new_application(**given: Any) -> dict[str, Any]:
    """A row as it is right after creation."""
    row = {
        name: list(default) if isinstance(default, list) else default for name, (default, _field) in _COLUMNS.items()
    }
    return {**row, **given}


def columns_of(row: dict[str, Any]) -> dict[str, Any]:
    """The row without what views add to it."""
    return {name: row[name] for name in _COLUMNS}
