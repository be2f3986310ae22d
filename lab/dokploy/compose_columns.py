# SPDX-License-Identifier: GPL-3.0-or-later
"""The columns of a compose service."""

from __future__ import annotations

from lab.dokploy.schema import (
    FLAG,
    LIST,
    NAME,
    NULLABLE_FLAG,
    NULLABLE_NUMBER,
    OPTIONAL_TEXT,
    TEXT,
    choice,
)
from lab.dokploy.table import Columns

TYPES = ("docker-compose", "stack")
SOURCES = ("git", "github", "gitlab", "bitbucket", "gitea", "raw")
_STATUSES = ("idle", "running", "done", "error")

COMPOSE_COLUMNS = Columns(
    {
        "composeId": (None, None),
        "name": (None, NAME),
        "appName": (None, None),
        "description": (None, TEXT),
        "env": (None, TEXT),
        "composeFile": ("", OPTIONAL_TEXT),
        "refreshToken": (None, TEXT),
        "sourceType": ("github", choice(*SOURCES)),
        "composeType": ("docker-compose", choice(*TYPES)),
        "repository": (None, TEXT),
        "owner": (None, TEXT),
        "branch": (None, TEXT),
        "autoDeploy": (True, NULLABLE_FLAG),
        "gitlabProjectId": (None, NULLABLE_NUMBER),
        "gitlabRepository": (None, TEXT),
        "gitlabOwner": (None, TEXT),
        "gitlabBranch": (None, TEXT),
        "gitlabPathNamespace": (None, TEXT),
        "bitbucketRepository": (None, TEXT),
        "bitbucketRepositorySlug": (None, TEXT),
        "bitbucketOwner": (None, TEXT),
        "bitbucketBranch": (None, TEXT),
        "giteaRepository": (None, TEXT),
        "giteaOwner": (None, TEXT),
        "giteaBranch": (None, TEXT),
        "customGitUrl": (None, TEXT),
        "customGitBranch": (None, TEXT),
        "customGitSSHKeyId": (None, TEXT),
        "command": ("", OPTIONAL_TEXT),
        "createEnvFile": (True, FLAG),
        "enableSubmodules": (False, FLAG),
        "composePath": ("./docker-compose.yml", NAME),
        "suffix": ("", OPTIONAL_TEXT),
        "randomize": (False, FLAG),
        "isolatedDeployment": (False, FLAG),
        "isolatedDeploymentsVolume": (False, FLAG),
        "triggerType": ("push", choice("push", "tag", nullable=True)),
        "composeStatus": ("idle", choice(*_STATUSES)),
        "icon": (None, TEXT),
        "environmentId": (None, OPTIONAL_TEXT),
        "createdAt": (None, OPTIONAL_TEXT),
        "watchPaths": (None, LIST),
        "githubId": (None, TEXT),
        "gitlabId": (None, TEXT),
        "bitbucketId": (None, TEXT),
        "giteaId": (None, TEXT),
        "serverId": (None, None),
        "serviceNetworks": ([], LIST),
    }
)
