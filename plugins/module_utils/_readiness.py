# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges what was seen before an incident: what would stand in the way of a recovery, and what to do about it.

Each answer is the result of a module as Ansible registered it, a failure included. What was not seen has not passed.
"""

from __future__ import annotations

import typing as t
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ._postgres.dump.report import in_time, in_units
from ._redact import clip, redact_text

OK, WARN, FAIL, UNCHECKED, SKIPPED = "ok", "warn", "fail", "could not be checked", "not configured"
_WORTH: Mapping[str, float] = {OK: 1.0, WARN: 0.5, FAIL: 0.0, UNCHECKED: 0.0}
#: As long as something is lacking that no recovery can do without, it is not half ready.
ESSENTIAL_LACKING = 49
_LONGEST = 400

Answer = Mapping[str, t.Any]


@dataclass(frozen=True)
class Limits:
    """:param clock: seconds by which clocks may differ; ``dump_age``, how old the newest good dump may be."""

    clock: float = 10.0
    dump_age: float = 26 * 3600.0


@dataclass(frozen=True)
class Found:
    result: str
    detail: str = ""


@dataclass(frozen=True)
class Probe:
    """:param essential: whether no recovery is possible without it."""

    name: str
    weight: int
    look: Callable[[Mapping[str, Answer], Limits], Found]
    fix: str
    essential: bool = False


def judge(answers: Mapping[str, Answer], limits: Limits) -> list[dict[str, t.Any]]:
    """Every probe with its result: what to mend first stands first."""
    told = []
    for probe in PROBES:
        found = _look(probe, answers, limits)
        told.append(
            {
                "name": probe.name,
                "result": found.result,
                "detail": clip(redact_text(found.detail), _LONGEST),
                "fix": "" if found.result in (OK, SKIPPED) else probe.fix,
                "weight": probe.weight,
                "essential": probe.essential,
            }
        )
    return sorted(told, key=lambda one: (one["result"] == SKIPPED, -_loss(one), -one["weight"]))


def score(probes: Sequence[Mapping[str, t.Any]]) -> int:
    """From 0 to 100, by weight. What is not configured does not count."""
    counted = [one for one in probes if one["result"] != SKIPPED]
    whole = sum(one["weight"] for one in counted)
    if not whole:
        return 0
    reached = int(100 * sum(one["weight"] * _WORTH[one["result"]] for one in counted) / whole)
    lacking = any(one["essential"] and not _WORTH[one["result"]] for one in counted)
    return min(reached, ESSENTIAL_LACKING) if lacking else reached


def _loss(one: Mapping[str, t.Any]) -> float:
    lost = one["weight"] * (1 - _WORTH.get(one["result"], 1.0))
    return float(lost + 100 if one["essential"] and lost == one["weight"] else lost)


def _look(probe: Probe, answers: Mapping[str, Answer], limits: Limits) -> Found:
    try:
        return probe.look(answers, limits)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return Found(UNCHECKED, f"the answer is not understood: {type(error).__name__} {error}")


def _answer(answers: Mapping[str, Answer], name: str) -> Answer | Found:
    """The answer, or why there is none."""
    answer = answers.get(name) or {}
    if not answer or answer.get("skipped"):
        return Found(UNCHECKED, "it was not asked")
    if answer.get("unreachable"):
        return Found(UNCHECKED, f"the host does not answer: {_message(answer)}")
    return Found(FAIL, _message(answer)) if answer.get("failed") else answer


def _message(answer: Answer) -> str:
    return " ".join(str(answer.get("msg") or "no reason was given").split())


def _of(name: str, look: Callable[[Answer, Limits], Found]) -> Callable[[Mapping[str, Answer], Limits], Found]:
    def looked(answers: Mapping[str, Answer], limits: Limits) -> Found:
        answer = _answer(answers, name)
        return answer if isinstance(answer, Found) else look(answer, limits)

    return looked


def _optional(name: str, look: Callable[[Answer, Limits], Found]) -> Callable[[Mapping[str, Answer], Limits], Found]:
    """One that a platform may do without: what was not asked is not configured."""

    def looked(answers: Mapping[str, Answer], limits: Limits) -> Found:
        answer = answers.get(name) or {}
        return Found(SKIPPED) if not answer or answer.get("skipped") else _of(name, look)(answers, limits)

    return looked


def _reached(_answer: Answer, _limits: Limits) -> Found:
    return Found(OK)


def _folders(host: Answer, _limits: Limits) -> Found:
    bad = [one["path"] for one in host["folders"] if not one["writable"]]
    if bad:
        return Found(FAIL, f"{', '.join(bad)} cannot be written")
    new = [one["path"] for one in host["folders"] if not one["exists"]]
    return Found(OK, f"{', '.join(new)} will be made" if new else "")


def _clock(seconds: float | None, limits: Limits, whose: str) -> Found:
    if seconds is None:
        return Found(UNCHECKED, "it did not tell its time")
    detail = f"{abs(seconds):.1f} s {'ahead of' if seconds >= 0 else 'behind'} {whose}"
    if abs(seconds) <= limits.clock:
        return Found(OK, detail)
    return Found(WARN if abs(seconds) <= 6 * limits.clock else FAIL, detail)


def _database(host: Answer, _limits: Limits) -> Found:
    seen = host["database"]
    if not seen["reached"]:
        return Found(FAIL, seen["detail"])
    # A recovery makes it anew from the dump.
    missing = "the server answers, and has no such database"
    return Found(OK, f"PostgreSQL {seen['version']}") if seen["exists"] else Found(WARN, missing)


def _stable(dumps: Answer, _limits: Limits) -> Found:
    return Found(OK if dumps["latest_stable"] else FAIL, str(dumps["msg"]))


def _fresh(dumps: Answer, limits: Limits) -> Found:
    stable = dumps["latest_stable"]
    if not stable:
        return Found(FAIL, "there is none")
    detail = f"{stable['age']} old, {in_time(limits.dump_age)} are allowed"
    return Found(OK if stable["age_seconds"] <= limits.dump_age else FAIL, detail)


def _accepted(dumps: Answer, _limits: Limits) -> Found:
    rejected = [f"{one['path']}: {one.get('reason') or 'rejected'}" for one in dumps["rejected"]]
    return Found(WARN, "; ".join(rejected)) if rejected else Found(OK)


def _restorable(restore: Answer, _limits: Limits) -> Found:
    plan = restore["plan"]
    problems = [str(one) for one in plan.get("problems") or []]
    if problems:
        return Found(FAIL, "; ".join(problems))
    remarks = [one for one in plan.get("preflight") or [] if one["result"] != "passed"]
    said = "; ".join(f"{one['name']}: {one['detail']}" for one in remarks)
    return Found(WARN if remarks else OK, said or _message(restore))


def _disk(restore: Answer, _limits: Limits) -> Found:
    plan = restore["plan"]
    if plan.get("verified_database"):
        return Found(OK, f"{plan['verified_database']} takes over, and nothing is loaded")
    disk = plan.get("disk") or {}
    free, needed = disk.get("free"), disk.get("needed")
    if free is None or needed is None:
        return Found(UNCHECKED, "the disk of the server cannot be seen")
    detail = f"{in_units(free)} free, {in_units(needed)} needed"
    if free < needed:
        return Found(FAIL, detail)
    return Found(OK if free >= 2 * needed else WARN, detail)


def _drilled(ledger: Answer, _limits: Limits) -> Found:
    return Found(FAIL if ledger["missed"] or ledger["failures_in_a_row"] else OK, _message(ledger))


def _application(dokploy: Answer, _limits: Limits) -> Found:
    service = dokploy.get("application") or dokploy.get("compose")
    if not service:
        return Found(FAIL, "the application is not there")
    return Found(OK, f"{service['project']}/{service['environment']}/{service['name']}, Dokploy {dokploy['version']}")


def _docker_read(dokploy: Answer, _limits: Limits) -> Found:
    if dokploy["tasks"] is None:
        return Found(FAIL, "the key may not read Docker, so that nobody would see whether the API is really stopped")
    return Found(OK)


def _runs(dokploy: Answer, _limits: Limits) -> Found:
    if dokploy["quiesced"]:
        return Found(FAIL, "a recovery has stopped it, and nothing has started it again")
    if dokploy["tasks"] is None:
        return Found(UNCHECKED, "its tasks cannot be read")
    running = sum(task["state"] == "running" for task in dokploy["tasks"])
    return Found(OK if running else FAIL, f"tasks that run: {running}")


def _healthy(health: Answer, _limits: Limits) -> Found:
    return Found(OK if health["healthy"] else FAIL, str(health.get("url") or ""))


def _scheduled(answers: Mapping[str, Answer], limits: Limits) -> Found:
    """Where the scheduler leaves nothing on the host, its work tells."""
    host = _answer(answers, "host")
    if isinstance(host, Found):
        return host
    jobs = host["schedules"]
    if not jobs:
        drilled = _of("ledger", _drilled)(answers, limits)
        if drilled.result == OK:
            return Found(OK, "not seen on the host, but drills are made in time")
        return Found(UNCHECKED, "nothing is scheduled on the host, and no drill shows that something else starts them")
    bad = [job for job in jobs if job["state"] != "present"]
    if not bad:
        return Found(OK, ", ".join(f"{job['name']} {job['detail']}".strip() for job in jobs))
    unknown = all(job["state"] == "unknown" for job in bad)
    return Found(UNCHECKED if unknown else FAIL, "; ".join(job["detail"] for job in bad))


def _offsite(answers: Mapping[str, Answer], _limits: Limits) -> Found:
    host = _answer(answers, "host")
    if isinstance(host, Found):
        return host
    seen = host["offsite"]
    if not seen:
        return Found(SKIPPED, "all dumps are on this host; if its disk dies, so do they")
    if not seen["reached"]:
        return Found(FAIL, seen["detail"])
    return Found(OK if seen["copies"] else FAIL, f"{seen['copies']} dumps are there")


def _told(notify: Answer, _limits: Limits) -> Found:
    problems = [*(notify.get("problems") or []), *(notify.get("unreached") or [])]
    return Found(FAIL, "; ".join(map(str, problems))) if problems else Found(OK, _message(notify))


def _free(lock: Answer, _limits: Limits) -> Found:
    held = lock["lock"]
    return Found(WARN, f"{held['playbook'] or 'a play'} holds it, run {held['run']}") if held else Found(OK)


_KEY = "Make a key under Settings > Profile > API/CLI Keys, without a rate limit, and put it into the vault."
_DUMP = "Make a backup with playbooks/backup.yml, and look why the newest ones are bad."

PROBES: Sequence[Probe] = (
    Probe("the host answers", 10, _of("ping", _reached), "Check the name, the network and the ssh key.", True),
    Probe("the database server answers", 10, _of("host", _database), "Check platform_postgres_*.", True),
    Probe("there is a dump that can be restored", 10, _of("dumps", _stable), _DUMP, True),
    Probe("a restore could begin", 10, _of("restore", _restorable), "Mend what the preflight says.", True),
    Probe("Dokploy takes the key and has the application", 8, _of("dokploy", _application), _KEY, True),
    Probe(
        "a drill has proved a dump in time", 8, _of("ledger", _drilled), "Run playbooks/verify_backup.yml, every night."
    ),
    Probe("there is disk for a restore", 6, _of("restore", _disk), "Free some, or add some."),
    Probe("the application runs", 6, _of("dokploy", _runs), "Start it: vedfinance.platform.dokploy_service."),
    Probe("the API is healthy", 6, _of("health", _healthy), "Look at its log; check platform_api_url and its paths."),
    Probe("backups and drills are scheduled", 6, _scheduled, "Run the role schedule."),
    Probe("the newest dump is fresh", 5, _of("dumps", _fresh), _DUMP),
    Probe("the folders of the records can be written", 5, _of("host", _folders), "Give the right, or name others."),
    Probe("the contacts can be told", 5, _optional("notify", _told), "Check platform_contacts and platform_channels."),
    Probe(
        "the key may read Docker", 4, _of("dokploy", _docker_read), "Give the user of the key docker:read in Dokploy."
    ),
    Probe("the integrity report is good", 4, _optional("integrity", _healthy), "Read the report; mend what says FAIL."),
    Probe("the offsite remote has copies", 4, _offsite, "Check backup_offsite and the configuration of rclone."),
    Probe("no newer dump was rejected", 3, _of("dumps", _accepted), _DUMP),
    Probe("the API is healthy from outside", 3, _optional("outside", _healthy), "Check the proxy and the firewall."),
    Probe(
        "the host's clock is right", 3,
        _of("host", lambda host, limits: _clock(host["clock_skew"], limits, "the controller")), "Run an NTP client.",
    ),
    Probe(
        "the database's clock is right", 2,
        _of("host", lambda host, limits: _clock(host["database"]["skew"], limits, "the host")), "Run an NTP client.",
    ),
    Probe("nobody else is at work", 2, _of("lock", _free), "Wait, or free it: playbooks/deploy.yml --tags unlock."),
)  # fmt: skip
