# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of services: where the rows of each are kept, and how their columns and errors name them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """`title` is what errors call it."""

    name: str
    table: str
    title: str
    status: str = "applicationStatus"

    @property
    def id(self) -> str:
        return f"{self.name}Id"


APPLICATION = Kind("application", "applications", "Application")
COMPOSE = Kind("compose", "compose", "Compose", "composeStatus")
DATABASES = (
    Kind("postgres", "postgres", "Postgres"),
    Kind("mysql", "mysql", "MySql"),
    Kind("mariadb", "mariadb", "Mariadb"),
    Kind("mongo", "mongo", "Mongo"),
    Kind("redis", "redis", "Redis"),
)
KINDS = {kind.name: kind for kind in (APPLICATION, COMPOSE, *DATABASES)}
