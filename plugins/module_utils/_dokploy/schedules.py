# SPDX-License-Identifier: GPL-3.0-or-later
"""Cron schedules of a service, of a server or of Dokploy's own host, kept by their names."""

from __future__ import annotations

import re
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ansible_collections.vedfinance.platform.plugins.module_utils._clock import Clock
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.client import DokployClient, NotDokploy
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.cron import checked_cron
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.find import (
    Service,
    ServiceQuery,
    find_service,
    id_column,
    rows_of,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.runs import (
    RUN_ARGUMENTS,
    Outcome,
    Run,
    Runner,
    refuse_missing,
    refuse_several,
    runs_in,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._redact import redact_text

DEFAULT_TIMEZONE = "UTC"
ON_A_HOST = ("server", "dokploy-server")
_TIMEZONE = re.compile(r"[A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)*")

SCHEDULE_ARGUMENTS: dict[str, dict[str, object]] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent", "run"], "default": "present"},
    "service_name": {"type": "str"},
    "server_id": {"type": "str"},
    "dokploy_server": {"type": "bool", "default": False},
    "cron": {"type": "str"},
    "timezone": {"type": "str"},
    "command": {"type": "str"},
    "shell": {"type": "str", "choices": ["bash", "sh"]},
    "enabled": {"type": "bool"},
    **RUN_ARGUMENTS,
}


# --- where ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """What schedules belong to."""

    type: str
    """As Dokploy says it: application, compose, server or dokploy-server."""
    id: str
    label: str
    service_name: str | None = None

    @property
    def columns(self) -> dict[str, object]:
        """What tells a new schedule that it belongs here."""
        owner = {"dokploy-server": "organizationId"}.get(self.type, id_column(self.type))
        named = {"serviceName": self.service_name} if self.service_name else {}
        return {"scheduleType": self.type, owner: self.id, **named}


def place_in(service: Service, service_name: str | None = None) -> Place:
    return Place(service.kind, service.id, f"{service.kind} {service.name!r}", service_name)


def find_place(client: DokployClient, query: ServiceQuery, params: Mapping[str, t.Any]) -> Place:
    server_id, service_name = params["server_id"], params["service_name"]
    if (query.option == "compose") != bool(service_name):
        raise PlatformError(
            "service_name goes with compose, and compose with service_name.",
            "Name the service in the compose file in whose container the command runs.",
        )
    if sum(map(bool, (query.option, server_id, params["dokploy_server"]))) != 1:
        raise PlatformError(
            "Where the schedule belongs is not known.",
            "Give one of application, compose, server_id and dokploy_server.",
        )
    if server_id:
        return Place("server", server_id, f"server {server_id}")
    if params["dokploy_server"]:
        return Place("dokploy-server", _organization(client), "the host of Dokploy")
    return place_in(find_service(client, query), service_name)


def _organization(client: DokployClient) -> str:
    member = client.get("user.get")
    organization = member.get("organizationId") if isinstance(member, dict) else None
    if not organization:
        raise NotDokploy("The answer to user.get names no organisation.", "Check dokploy_url.", "user.get", 200)
    return str(organization)


# --- schedules --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Schedule:
    id: str
    name: str
    type: str
    service_name: str | None
    cron: str
    timezone: str
    command: str
    shell: str
    enabled: bool
    last_run: Run | None

    @classmethod
    def from_row(cls, row: Mapping[str, t.Any]) -> Schedule:
        kind = str(row.get("scheduleType"))
        return cls(
            id=str(row.get("scheduleId") or ""),
            name=str(row.get("name")),
            type=kind,
            service_name=row.get("serviceName"),
            cron=str(row.get("cronExpression") or ""),
            timezone=row.get("timezone") or DEFAULT_TIMEZONE,
            command=str(row.get(_command_column(kind)) or ""),
            shell=row.get("shellType") or "bash",
            enabled=bool(row.get("enabled")),
            last_run=next(iter(runs_in(row.get("deployments"))), None),
        )

    def shown(self) -> dict[str, object]:
        """What a person decides, and a diff compares."""
        return {
            "name": self.name,
            "cron": self.cron,
            "timezone": self.timezone,
            "command": redact_text(self.command),
            "shell": self.shell,
            "enabled": self.enabled,
        }

    def to_result(self) -> dict[str, object]:
        return {"id": self.id or None, "type": self.type, "service_name": self.service_name, **self.shown()}


def _command_column(kind: str) -> str:
    """On a host Dokploy runs the script, and never looks at the command."""
    return "script" if kind in ON_A_HOST else "command"


def schedules_at(client: DokployClient, place: Place) -> list[Schedule]:
    rows = rows_of(client.get("schedule.list", id=place.id, scheduleType=place.type))
    found = [Schedule.from_row(row) for row in rows]
    return [one for one in found if place.service_name in (None, one.service_name)]


def schedules_of(client: DokployClient, service: Service) -> list[Schedule]:
    """The schedules of an application or of all services of a compose; a database has none."""
    return schedules_at(client, place_in(service)) if service.kind in ("application", "compose") else []


# --- plans ------------------------------------------------------------------------------------------------------------


def wanted_columns(params: Mapping[str, t.Any], kind: str) -> dict[str, object]:
    """What was given, checked, as Dokploy's columns."""
    wanted: dict[str, object] = {}
    if params["cron"] is not None:
        wanted["cronExpression"] = checked_cron(params["cron"])
    if params["timezone"] is not None:
        if not _TIMEZONE.fullmatch(params["timezone"]):
            raise PlatformError(f"timezone is {params['timezone']!r}.", "Write a name such as UTC or Asia/Ho_Chi_Minh.")
        wanted["timezone"] = params["timezone"]
    if params["command"] is not None:
        if not params["command"].strip():
            raise PlatformError("command is empty.", "Say what to run.")
        wanted[_command_column(kind)] = params["command"]
    if params["shell"] is not None:
        wanted["shellType"] = params["shell"]
    if params["enabled"] is not None:
        wanted["enabled"] = params["enabled"]
    return wanted


def new_columns(name: str, place: Place, wanted: Mapping[str, object]) -> dict[str, object]:
    return {
        "name": name,
        "command": "",
        "shellType": "bash",
        "timezone": DEFAULT_TIMEZONE,
        "enabled": True,
        **place.columns,
        **wanted,
    }


def stored_columns(schedule: Schedule) -> dict[str, object]:
    return {
        "name": schedule.name,
        "cronExpression": schedule.cron,
        "timezone": schedule.timezone,
        "command": "",
        _command_column(schedule.type): schedule.command,
        "shellType": schedule.shell,
        "enabled": schedule.enabled,
    }


def update_for(schedule: Schedule, wanted: Mapping[str, object]) -> dict[str, object] | None:
    """The body of schedule.update: what differs, and what it cannot do without; None when nothing differs."""
    stored = stored_columns(schedule)
    changes = {column: value for column, value in wanted.items() if stored[column] != value}
    if not changes:
        return None
    needed = {column: stored[column] for column in ("name", "cronExpression", "command")}
    return {"scheduleId": schedule.id, "scheduleType": schedule.type, **needed, **changes}


# --- doing it ---------------------------------------------------------------------------------------------------------


def keep_schedule(
    client: DokployClient, clock: Clock, query: ServiceQuery, params: Mapping[str, t.Any], check: bool
) -> Outcome:
    """The whole of M(vedfinance.platform.dokploy_schedule)."""
    name, state = params["name"].strip(), params["state"]
    if not name:
        raise PlatformError("name is empty.", "A schedule is known by its name.")
    client.version()
    place = find_place(client, query, params)
    wanted = wanted_columns(params, place.type)
    keeper = _Keeper(client, place, name, check)
    before = keeper.stored()
    if state == "absent":
        if before:
            keeper.remove(before)
        return _outcome(before, None)
    if before is None:
        refuse_missing(f"The schedule {name!r}", {"cron": params["cron"], "command": params["command"]})
    after = keeper.written(before, wanted)
    outcome = _outcome(before, after)
    if state == "run":
        outcome.changed = True
        if not check:
            runner = Runner(client, clock, params)
            with outcome.told_on_failure():
                outcome.take(
                    runner.run("schedule", after.id, f"The schedule {name!r} of {place.label}", "schedule.runManually")
                )
    return outcome


def _outcome(before: Schedule | None, after: Schedule | None) -> Outcome:
    known = after or before
    return Outcome(
        changed=before != after,
        before=before.shown() if before else {},
        after=after.shown() if after else {},
        result={
            "schedule": after.to_result() if after else None,
            "last_run": known.last_run.to_result() if known and known.last_run else None,
        },
    )


class _Keeper:
    """One schedule, by its name in its place."""

    def __init__(self, client: DokployClient, place: Place, name: str, check: bool) -> None:
        self._client = client
        self._place = place
        self._name = name
        self._check = check

    def stored(self) -> Schedule | None:
        named = [one for one in schedules_at(self._client, self._place) if one.name == self._name]
        refuse_several(f"schedules named {self._name!r}", f"in {self._place.label}", [one.id for one in named])
        return named[0] if named else None

    def remove(self, before: Schedule) -> None:
        if not self._check:
            self._client.post("schedule.delete", scheduleId=before.id)
            self._require(self.stored() is None)

    def written(self, before: Schedule | None, wanted: Mapping[str, object]) -> Schedule:
        body = update_for(before, wanted) if before else new_columns(self._name, self._place, wanted)
        if before and body is None:
            return before
        if self._check:
            stored = stored_columns(before) if before else {}
            foreseen = Schedule.from_row({**self._place.columns, **stored, **(body or {})})
            return replace(foreseen, id=before.id, last_run=before.last_run) if before else foreseen
        self._client.post("schedule.update" if before else "schedule.create", **(body or {}))
        after = self.stored()
        self._require(after is not None and update_for(after, wanted) is None)
        return t.cast(Schedule, after)

    def _require(self, holds: bool) -> None:
        if not holds:
            raise PlatformError(
                f"Dokploy does not hold the schedule {self._name!r} as it was told to.",
                "Somebody else changed it meanwhile. Look who, and run this again.",
                changed=True,
            )
