# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m lab`: a whole platform on one machine."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

from lab import disasters, releases
from lab.demo import DISASTERS, demo
from lab.git import GitError
from lab.platform import LabError, Wanted, default_state, down, link_prisma, opened, up
from lab.postgres import WHEEL_FOLDERS, ServerError
from lab.processes import ProcessError
from lab.status import status

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m lab",
        description="A whole platform on one machine: PostgreSQL, the API, a Dokploy double, a week of dumps, "
        "and disasters. Needs no root, uses free ports of the loopback interface, keeps everything in one folder.",
    )
    _add_state(parser, default_state())
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_up(_command(commands, "up", "start everything; if it is up already, change nothing"))
    _command(commands, "down", "end every process and remove the data; logs and journal stay")
    status_parser = _command(commands, "status", "what runs where, row counts, dumps; exit code 1 when the lab is down")
    status_parser.add_argument("--json", action="store_true", help="for machines")
    kinds = _command(commands, "break", "make a disaster in the running lab, and print what it did").add_subparsers(
        dest="disaster", required=True, metavar="DISASTER"
    )
    for name, disaster in disasters.ALL.items():
        kind = _command(kinds, name, disaster.__doc__ or "")
        if name == disasters.BAD_RELEASE:
            kind.add_argument(
                "--how",
                choices=("crash", "fail"),
                default="crash",
                help="crash: the process ends; fail: it answers, and integrity says FAIL (default: %(default)s)",
            )
    published = _command(commands, "release", "publish a version of the API, to be taken by Dokploy's next deploy")
    published.add_argument("version", help="such as 1.5.0")
    published.add_argument(
        "--behaviour", choices=tuple(releases.TAGS), default="ok", help="what is wrong with it (default: %(default)s)"
    )
    published.add_argument("--webhook", action="store_true", help="let Dokploy deploy it by itself, as after a push")
    _add_commit(_command(commands, "commit", "commit to the lab's checkout, a good change or a bad one"))
    _command(commands, "prisma", "install the real Prisma CLI in the lab's checkout, with npm")
    story = _command(commands, "demo", "up, a disaster, the real playbook and its recovery, down")
    story.add_argument("--disaster", choices=DISASTERS, default=DISASTERS[0], help="default: %(default)s")
    story.add_argument("--warm", action="store_true", help="once more after a drill, and both beside each other")
    _add_up_options(story)
    return parser.parse_args(arguments)


def _command(commands: Commands, name: str, what: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=what, description=what[:1].upper() + what[1:] + ".")
    _add_state(parser, argparse.SUPPRESS)
    return parser


def _add_state(parser: argparse.ArgumentParser, default: Path | str) -> None:
    """Taken before the command and after it."""
    where = "where everything is kept; default $LAB_STATE, or .lab in the project"
    parser.add_argument("--state", type=Path, default=default, metavar="DIR", help=where)


def _add_up(parser: argparse.ArgumentParser) -> None:
    _add_up_options(parser)
    add = parser.add_argument
    add("--only", choices=("postgres",), help="only the database and its dumps")
    add(
        "--source",
        choices=("git", "image"),
        default="git",
        help="what Dokploy makes the API from: a push to the lab's origin, or the tag of an image (default: git)",
    )
    add("--prisma", action="store_true", help="with the real Prisma CLI, as `lab prisma` installs it later")


def _add_commit(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--version", help="of the API, such as 1.5.0 (default: the last number of the present one and 1)")
    add("--behaviour", choices=releases.BUILT, default="ok", help="what is wrong with the API (default: %(default)s)")
    add("--frontend", choices=releases.FRONTENDS, default="ok", help="how Pages builds it (default: %(default)s)")
    add("--migration", type=Path, metavar="FILE.sql", help="a migration that the commit brings")
    add("--migration-name", metavar="NAME", help="such as add_badges (default: the name of the file)")
    add("--message", help="the whole message (default: one by the platform's rule)")
    add("--push", action="store_true", help="and push it, of which Dokploy and Pages are told")


def _add_up_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--scale", type=_positive, default=0.01, help="1 is 4 million rows, a dump of 800 MB (default: %(default)s)")
    add(
        "--postgres-version",
        choices=tuple(WHEEL_FOLDERS),
        help="PostgreSQL of the wheel (default: $LAB_PG_VERSION or 16); LAB_PG_BIN names an installed one instead",
    )
    add("--replicas", type=int, choices=range(1, 6), default=1, metavar="N", help="processes of the API (default: 1)")
    add("--health-shape", choices=("A", "B"), default="A", help="A: 200 and ok; B: with checks, 503 (default: A)")
    add("--rate-limit", choices=("on", "off"), default="on", help="429 after 3 calls of the API a second (default: on)")
    add("--tempo", type=_positive, default=1.0, help="scales the waits of the Dokploy double (default: %(default)s)")


def _positive(text: str) -> float:
    value = float(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def main(arguments: list[str] | None = None) -> int:
    signal.signal(signal.SIGTERM, _interrupt)
    options = parse(arguments)
    state: Path = options.state.resolve()
    try:
        return _run(options, state)
    except (LabError, ServerError, ProcessError, GitError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - else the interpreter complains once more when it ends
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace, state: Path) -> int:
    if options.command == "up":
        up(state, _wanted(options), _say)
    elif options.command == "demo":
        return demo(state, options.disaster, _wanted(options), _say, warm=options.warm)
    elif options.command == "down":
        down(state, _say)
    elif options.command == "status":
        report = status(state)
        print(json.dumps(report, indent=2) if options.json else _table(report))
        return 0 if report["up"] else 1
    elif options.command == "release":
        for line in releases.release(opened(state), options.version, options.behaviour, options.webhook):
            _say(line)
    elif options.command == "prisma":
        _say(link_prisma(Path(releases.repository_of(opened(state))["checkout"])))
    elif options.command == "commit":
        change = releases.Change(
            version=options.version,
            behaviour=options.behaviour,
            frontend=options.frontend,
            migration=options.migration,
            migration_name=options.migration_name,
            message=options.message,
        )
        for line in releases.commit(opened(state), change, push=options.push):
            _say(line)
    else:
        how = {"how": options.how} if options.disaster == disasters.BAD_RELEASE else {}
        for line in disasters.ALL[options.disaster](opened(state), **how):
            _say(line)
    return 0


def _wanted(options: argparse.Namespace) -> Wanted:
    return Wanted(
        scale=options.scale,
        postgres_version=options.postgres_version,
        replicas=options.replicas,
        health_shape=options.health_shape,
        rate_limit=options.rate_limit,
        tempo=options.tempo,
        only_postgres=getattr(options, "only", None) == "postgres",
        source=getattr(options, "source", "image"),
        prisma=getattr(options, "prisma", False),
    )


def _table(report: dict[str, Any]) -> str:
    return "\n".join(_table_lines(report))


def _table_lines(report: dict[str, Any]) -> Iterator[str]:
    yield f"lab in {report['state']}: {'up' if report['up'] else 'down'}"
    for process in report["processes"]:
        yield f"  {process['name']:<32} {'pid ' + str(process['pid']) if process['pid'] else 'not running'}"
    if postgres := report.get("postgres"):
        databases = postgres.get("error") or ", ".join(postgres["databases"])
        yield f"PostgreSQL  {postgres['host']}:{postgres['port']}  {databases}"
        for table, rows in (postgres.get("rows") or {}).items():
            yield f"  {table:<24} {rows:>10}"
    if api := report.get("api"):
        answer = api.get("error") or f"{api['status']} {json.dumps(api['body'])}"
        yield f"API         {api['url']}  {answer}"
    if dokploy := report.get("dokploy"):
        yield f"Dokploy     {dokploy['url']}"
    if repository := report.get("git"):
        answer = repository.get("error") or f"{repository['commit'][:12]} {repository['subject']}" + "".join(
            f", {count} {what}"
            for what, count in (("to push", repository["to_push"]), ("changed", repository["changed_files"]))
            if count
        )
        yield f"git         {repository['checkout']}  {answer}"
    if pages := report.get("pages"):
        answer = pages.get("error") or f"{pages['project']} serves {(pages['serves'] or 'nothing')[:12]}"
        yield f"Pages       {pages['url']}  {answer}"
    for dump in report.get("dumps", []):
        link = f" -> {dump['link_to']}" if dump["link_to"] else ""
        yield f"  {dump['modified']}  {dump['bytes']:>10}  {dump['name']}{link}"


def _say(line: str) -> None:
    print(line, flush=True)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM cleans up as Ctrl-C does."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
