# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module prisma_migrate does for each of its states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from .._clock import Clock
from .._duration import seconds_in
from .._errors import PlatformError
from .._postgres.argspec import LOGIN, server_of
from .._postgres.connect import APPLICATION_NAME, Server, Session
from .compare import compare
from .deploy import Wish, deploy
from .files import Folder, folder_of, read_folder
from .lint import ERROR, WARNING, Limits, lint
from .runner import PREFIX, LocalCli, OneOff, Run, Runner, run_program, target_of, url_of, variables_in, with_settings
from .squawk import PASSED_OVER, Linter, Squawk
from .status import Status, status_of
from .table import read_history
from .verify import verify

ARGUMENTS: dict[str, Any] = {
    "state": {
        "type": "str",
        "choices": ["read", "checked", "linted", "compared", "deployed", "verified"],
        "default": "checked",
    },
    "path": {"type": "path"},
    "files": {"type": "dict"},
    "database": {"type": "str", "aliases": ["db"]},
    "schema": {"type": "str", "default": "public"},
    "known": {"type": "list", "elements": "str"},
    "lint_with": {"type": "list", "elements": "str", "choices": ["squawk", "own"], "default": ["squawk", "own"]},
    "squawk": {"type": "str", "default": "squawk"},
    "skip_rules": {"type": "list", "elements": "str", "default": list(PASSED_OVER)},
    "large_rows": {"type": "int", "default": 100000},
    "large_bytes": {"type": "int", "default": 100000000},
    "fail_on": {"type": "str", "choices": ["error", "warning", "never"], "default": "error"},
    "prisma_cli": {"type": "list", "elements": "str", "default": ["npx", "prisma"]},
    "chdir": {"type": "path"},
    "schema_file": {"type": "str"},
    "image": {"type": "str"},
    "network": {"type": "str"},
    "workdir": {"type": "str"},
    "docker": {"type": "list", "elements": "str", "default": ["docker"]},
    "database_url": {"type": "str", "no_log": True},
    "env_file": {"type": "path"},
    "environment": {"type": "dict", "default": {}, "no_log": True},
    "role": {"type": "str"},
    "url_variables": {"type": "list", "elements": "str", "default": ["DATABASE_URL"]},
    "lock_timeout": {"type": "str", "default": "5s"},
    "statement_timeout": {"type": "str", "default": "15m"},
    "timeout": {"type": "str", "default": "30m"},
    "generate": {"type": "bool", "default": False},
    "drift": {"type": "bool", "default": False},
    "run": {"type": "str", "default": "by-hand"},
    "dump": {"type": "str"},
    "restore_command": {"type": "str"},
    **LOGIN,
}
_WITHOUT_FILES = ("compared",)


def run_state(
    params: Mapping[str, Any], check: bool, clock: Clock, run: Run | None = None, squawk: Linter | None = None
) -> dict[str, Any]:
    """The module's result.

    :param run: how programs are run; the real thing by default.
    :param squawk: the linter; the program by default.
    """
    state = params["state"]
    folder = _folder(params)
    if state == "read":
        return _read(folder)
    if not params["database"]:
        raise PlatformError("Option database is missing.", f"state={state} looks at a database: name it.")
    server = server_of(dict(params))
    with server.connect(params["database"], "migrate") as session:
        if state == "deployed":
            return _deployed(
                params, folder, session, _runner(params, session, server, run or run_program(clock)), check
            )
        status = status_of(folder, read_history(session, params["schema"]))
        if state == "linted":
            return _linted(params, folder, session, status, squawk or Squawk(params["squawk"]))
        if state == "compared":
            return _compared(params, folder, session, status)
        if state == "verified":
            drift = _runner(params, session, server, run or run_program(clock)) if params["drift"] else None
            return _verified(params, folder, session, status, drift)
        return _checked(session, status)


def _folder(params: Mapping[str, Any]) -> Folder:
    if params["files"] is not None:
        return folder_of(params["files"])
    if params["path"]:
        return read_folder(params["path"])
    if params["state"] in _WITHOUT_FILES:
        return Folder()
    raise PlatformError(
        f"state={params['state']} needs the migrations.", "Name their folder with path, or pass files of state=read."
    )


def _read(folder: Folder) -> dict[str, Any]:
    names = [migration.name for migration in folder.migrations]
    return {
        "changed": False,
        "msg": f"{_counted(len(names), 'migration')} read.",
        "files": folder.as_data(),
        "names": names,
    }


def _checked(session: Session, status: Status) -> dict[str, Any]:
    return {"changed": False, "msg": _summary(session, status), **status.as_result()}


def _linted(
    params: Mapping[str, Any], folder: Folder, session: Session, status: Status, squawk: Linter
) -> dict[str, Any]:
    pending = [found for found in map(folder.find, status.pending) if found is not None]
    linted = lint(
        pending,
        session,
        params["schema"],
        Limits(params["large_rows"], params["large_bytes"]),
        squawk if "squawk" in params["lint_with"] else None,
        params["skip_rules"],
        "own" in params["lint_with"],
    )
    errors, all_of_them = len(linted.errors), len(linted.findings)
    what = f"{_counted(errors, 'error')} and {_counted(all_of_them - errors, 'warning')}"
    msg = f"{_counted(len(pending), 'pending migration')} linted: {what}."
    result = {"changed": False, **status.as_result(), **linted.as_result()}
    refused = {"error": (ERROR,), "warning": (ERROR, WARNING), "never": ()}[params["fail_on"]]
    worst = [finding for finding in linted.findings if finding.severity in refused]
    if worst:
        lines = [
            f"{each.migration}, line {each.line}: {each.rule}: {each.message.rstrip('.')}."
            + (f" {each.help}" if each.help else "")
            for each in worst
        ]
        raise PlatformError(
            f"{msg} {' '.join(lines)}",
            "Mend them; or say in the file, on a line before the statement, why it is right:"
            " -- lint: allow <rule> because <reason>",
            **result,
        )
    return {"msg": msg, **result}


def _compared(params: Mapping[str, Any], folder: Folder, session: Session, status: Status) -> dict[str, Any]:
    if params["known"] is None:
        raise PlatformError("Option known is missing.", "Name the migrations that the code to be compared knows.")
    found = compare(params["known"], folder, read_history(session, params["schema"]), params["schema"])
    ahead = [entry["name"] for entry in found["ahead"]]
    if not ahead:
        msg = "The database is not ahead of that code."
    else:
        can = "that code can live with it" if found["additive"] else "that code cannot live with it for certain"
        msg = f"The database is ahead by {_counted(len(ahead), 'migration')} ({', '.join(ahead)}): {can}."
    return {"changed": False, "msg": msg, **status.as_result(), **found}


def _deployed(
    params: Mapping[str, Any], folder: Folder, session: Session, runner: Runner, check: bool
) -> dict[str, Any]:
    if params["generate"] and isinstance(runner, OneOff):
        raise PlatformError(
            "generate=true and image exclude each other.",
            "The client of an image is made when the image is built; generate where the code is.",
        )
    wish = Wish(params["schema"], params["generate"], params["dump"] or "", params["restore_command"] or "")
    outcome = deploy(session, folder, runner, wish, check)
    names = [each["name"] for each in (outcome.plan if check else outcome.applied)]
    if not names:
        msg = f"Nothing is pending; {session.database} is at {outcome.head_after or 'no migration'}."
    else:
        verb = "would be applied" if check else "applied"
        msg = f"{_counted(len(names), 'migration')} {verb} to {session.database}: {', '.join(names)}."
    before = sorted(outcome.before.applied)
    after = sorted({*before, *names})
    return {
        "msg": msg,
        "diff": {
            "before_header": "applied migrations",
            "after_header": "applied migrations",
            "before": "".join(f"{name}\n" for name in before),
            "after": "".join(f"{name}\n" for name in after),
        },
        **outcome.as_result(),
    }


def _verified(
    params: Mapping[str, Any], folder: Folder, session: Session, status: Status, drift: Runner | None
) -> dict[str, Any]:
    schema_file = params["schema_file"] or "prisma/schema.prisma"
    checks = verify(session, folder, status, params["schema"], drift, schema_file)
    result = {"changed": False, **status.as_result(), "checks": [asdict(check) for check in checks]}
    broken = [check for check in checks if not check.passes]
    if broken:
        raise PlatformError(
            f"{session.database} is not as its migrations say: "
            + " ".join(f"{check.name}: {check.outcome} ({check.detail})." for check in broken),
            "problems names what to do about each.",
            **result,
        )
    return {"msg": f"{session.database} is at {status.head or 'no migration'}: {len(checks)} checks passed.", **result}


def _summary(session: Session, status: Status) -> str:
    pending = _counted(len(status.pending), "migration")
    trouble = f", {_counted(len(status.problems), 'problem')}" if status.problems else ""
    return f"{session.database} is at {status.head or 'no migration'}; {pending} pending{trouble}."


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


# -- how Prisma is run -----------------------------------------------------------------------------------------------


def _runner(params: Mapping[str, Any], session: Session, server: Server, run: Run) -> Runner:
    variables = _variables(params, session, server)
    command, timeout = tuple(params["prisma_cli"]), seconds_in(params["timeout"], "timeout")
    arguments = ("--schema", params["schema_file"]) if params["schema_file"] and params["state"] == "deployed" else ()
    if params["image"]:
        return OneOff(
            tuple(params["docker"]),
            params["image"],
            f"{PREFIX}{params['run']}",
            params["network"],
            command,
            params["workdir"],
            variables,
            timeout,
            run,
            arguments,
        )
    return LocalCli(command, params["chdir"], variables, timeout, run, arguments)


def _variables(params: Mapping[str, Any], session: Session, server: Server) -> dict[str, str]:
    """Prisma's environment, with the limits in every address of the database."""
    found = variables_in(params["env_file"]) if params["env_file"] else {}
    found.update({name: str(value) for name, value in params["environment"].items()})
    names = params["url_variables"]
    role = params["role"]
    if params["database_url"]:
        found.update(dict.fromkeys(names, params["database_url"]))
    elif names and not any(name in found for name in names):
        if params["image"]:
            raise PlatformError(
                "No address of the database is known for the container.",
                "Pass database_url as the API's container knows it, or env_file with its DATABASE_URL.",
            )
        url = url_of(server.host, server.port, server.user, server.password, params["database"], params["schema"])
        found.update(dict.fromkeys(names, url))
        role = role or _owner(session)
    settings = {name: f"{int(seconds_in(params[name], name) * 1000)}" for name in ("lock_timeout", "statement_timeout")}
    if role and role != server.user:
        settings["role"] = role
    for name in names:
        if name in found:
            _refuse_another(found[name], name, params)
            found[name] = with_settings(found[name], settings, f"{APPLICATION_NAME} migrate {params['run']}")
    return found


def _owner(session: Session) -> str:
    """Whose the database is, so that what a migration makes is his too, whoever logs in."""
    return str(
        session.value("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()") or ""
    )


def _refuse_another(url: str, variable: str, params: Mapping[str, Any]) -> None:
    """What Prisma would migrate must be what is looked at here."""
    try:
        asked = target_of(url)
    except ValueError:
        raise PlatformError(
            f"{variable} is no address.",
            "Write it as Prisma's documentation has it, with what is special in the password percent-encoded.",
        ) from None
    for option, value in asked.items():
        if value != params[option]:
            raise PlatformError(
                f"{variable} names the {option} {value!r}, and option {option} is {params[option]!r}.",
                "One of the two is wrong; nothing was touched.",
            )
