# SPDX-License-Identifier: GPL-3.0-or-later
"""One play at a time on a host: a file says who is at work, and is believed until its owner is known to be dead."""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import typing as t
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone

from ._duration import seconds_in
from ._errors import PlatformError

LOCK_ARGUMENTS: dict[str, dict[str, object]] = {
    "state": {"type": "str", "choices": ["held", "released", "read"], "required": True},
    "folder": {"type": "path", "required": True},
    "name": {"type": "str", "default": "platform"},
    "run": {"type": "str", "default": ""},
    "playbook": {"type": "str", "default": ""},
    "max_age": {"type": "str", "default": "2h"},
    "force": {"type": "bool", "default": False},
    "owner": {
        "type": "dict",
        "default": {},
        "options": {
            "user": {"type": "str", "default": ""},
            "controller": {"type": "str", "default": ""},
            "place": {"type": "str", "default": ""},
            "pid": {"type": "int", "default": 0},
            "started": {"type": "str", "default": ""},
            "job": {"type": "str", "default": ""},
        },
    },
    "dead": {"type": "str", "default": ""},
}

UNREADABLE = "unreadable"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_HOUR = 3600.0


@dataclass(frozen=True)
class Owner:
    """Whose play holds it. The place is where its pid has a meaning: a boot of a machine, and a pid namespace."""

    user: str = ""
    controller: str = ""
    place: str = ""
    pid: int = 0
    started: str = ""
    job: str = ""

    @classmethod
    def from_mapping(cls, given: Mapping[str, t.Any]) -> Owner:
        words = {name: str(given.get(name) or "") for name in ("user", "controller", "place", "started", "job")}
        pid = given.get("pid")
        return cls(pid=pid if isinstance(pid, int) else 0, **words)

    def lives_with(self, other: Owner) -> bool:
        """Whether the other's controller can see this one's process, so that no age need be guessed from."""
        return bool(self.place and self.started and self.place == other.place)

    def __str__(self) -> str:
        who = self.user or "somebody"
        where = f" on {self.controller}" if self.controller else ""
        what = f"AWX job {self.job}" if self.job else f"pid {self.pid}" if self.pid else ""
        return f"{who}{where}{f' ({what})' if what else ''}"


@dataclass(frozen=True)
class Lock:
    id: str
    run: str
    began: float
    max_age: float
    playbook: str = ""
    owner: Owner = field(default_factory=Owner)

    @classmethod
    def from_text(cls, text: str, written: float) -> Lock:
        """What cannot be read holds as well, from when it was written: it may be the lock of a newer version."""
        try:
            stored = json.loads(text)
            return cls(
                id=str(stored["id"]),
                run=str(stored["run"]),
                began=float(stored["began"]),
                max_age=float(stored["max_age"]),
                playbook=str(stored["playbook"]),
                owner=Owner.from_mapping(stored["owner"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls(id=UNREADABLE, run="", began=written, max_age=2 * _HOUR)

    def belongs_to(self, run: str, owner: Owner) -> bool:
        """The same run of the same process: a run's name is a time, which two plays may share."""
        mine = (run, owner.place, owner.pid, owner.started)
        return self.id != UNREADABLE and mine == (self.run, self.owner.place, self.owner.pid, self.owner.started)

    def age(self, now: float) -> float:
        return max(0.0, now - self.began)

    def outlived(self, now: float) -> bool:
        return self.age(now) > self.max_age

    def to_result(self, now: float) -> dict[str, object]:
        began = datetime.fromtimestamp(self.began, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        age = round(self.age(now), 1)
        return {**asdict(self), "began": began, "age": spoken(age), "age_seconds": age, "outlived": self.outlived(now)}


@dataclass(frozen=True)
class Outcome:
    """The lock that stands afterwards, and the one of somebody else that had to go."""

    changed: bool
    msg: str
    lock: Lock | None
    freed: Lock | None = None

    @property
    def taken(self) -> bool:
        return self.changed and self.lock is not None

    def to_result(self, now: float) -> dict[str, object]:
        return {
            "msg": self.msg,
            "taken": self.taken,
            "lock": self.lock.to_result(now) if self.lock else None,
            "freed": self.freed.to_result(now) if self.freed else None,
        }


class LockFolder:
    """Where the locks of a host are. A lock is read without waiting; whoever decides something is alone meanwhile."""

    def __init__(self, folder: str, name: str) -> None:
        if not _NAME.fullmatch(name):
            raise PlatformError(f"Option name is {name!r}, which is no file name.", "Use letters, digits, '-' and '_'.")
        self._folder = folder
        self.path = os.path.join(folder, f"{name}.lock")

    def read(self) -> Lock | None:
        try:
            with open(self.path, encoding="utf-8", errors="replace") as file:
                return Lock.from_text(file.read(), os.fstat(file.fileno()).st_mtime)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._refused("cannot be read", error) from error

    @contextmanager
    def alone(self) -> Iterator[None]:
        """The kernel's own lock, which no crash leaves behind, for the moment between reading and writing."""
        try:
            os.makedirs(self._folder, mode=0o750, exist_ok=True)
            descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise self._refused("cannot be written", error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
            os.fsync(descriptor)
        except OSError as error:
            raise self._refused("cannot be written", error) from error
        finally:
            os.close(descriptor)

    def write(self, lock: Lock) -> None:
        """Whole or not at all, also when the power fails."""
        partial = f"{self.path}.{lock.id}.part"
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(asdict(lock), file, indent=2)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            os.rename(partial, self.path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(partial)
            raise

    def remove(self) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self.path)

    def _refused(self, what: str, error: OSError) -> PlatformError:
        return PlatformError(
            f"The lock {self.path} {what}: {error.strerror}.",
            "Name a folder of the host that the user who runs this may write, or use become.",
        )


def change_lock(params: Mapping[str, t.Any], now: float, check_mode: bool) -> Outcome:
    """What the module does.

    :param now: seconds since the epoch, by the host's own clock.
    :raises PlatformError: when somebody else holds it; the details hold the lock.
    """
    store = LockFolder(params["folder"], params["name"])
    if params["state"] == "read":
        return _seen(store.read(), now)
    if not params["run"] and not params["force"]:
        raise PlatformError("Option run is empty.", "Name the run, so that nobody else's lock is taken for it.")
    decide = _held if params["state"] == "held" else _released
    if check_mode:
        return decide(store.read(), params, now)
    with store.alone():
        before = store.read()
        outcome = decide(before, params, now)
        if outcome.lock and outcome.taken:
            store.write(outcome.lock)
        elif outcome.changed:
            store.remove()
    return outcome


def _seen(found: Lock | None, now: float) -> Outcome:
    return Outcome(False, f"Held by {description(found.to_result(now))}." if found else "Nobody holds it.", found)


def _held(found: Lock | None, params: Mapping[str, t.Any], now: float) -> Outcome:
    owner = Owner.from_mapping(params["owner"])
    wanted = Lock(
        id=secrets.token_hex(8),
        run=params["run"],
        began=now,
        max_age=seconds_in(params["max_age"], "max_age"),
        playbook=params["playbook"],
        owner=owner,
    )
    if found is None:
        return Outcome(True, "It was free, and is held by this run now.", wanted)
    if found.belongs_to(wanted.run, owner):
        return Outcome(False, "This run holds it already.", found)
    seen = found.to_result(now)
    if params["dead"] == found.id:
        return Outcome(True, f"Taken over from {description(seen)}, whose play is dead.", wanted, found)
    if found.outlived(now) and not found.owner.lives_with(owner):
        return Outcome(True, f"Taken over from {description(seen)}, which is longer than it can be.", wanted, found)
    raise PlatformError(refusal(seen), lock=seen)


def _released(found: Lock | None, params: Mapping[str, t.Any], now: float) -> Outcome:
    if found is None:
        return Outcome(False, "It was free.", None)
    if found.belongs_to(params["run"], Owner.from_mapping(params["owner"])):
        return Outcome(True, "Released.", None)
    seen = description(found.to_result(now))
    if params["force"]:
        return Outcome(True, f"Freed by force; it was held by {seen}.", None, found)
    return Outcome(False, f"Left alone: it is held by {seen}, not by this run.", found)


def description(lock: Mapping[str, t.Any]) -> str:
    """A lock of a result, in words."""
    if lock["id"] == UNREADABLE:
        return f"somebody, in words that cannot be read, for {lock['age']}"
    what = f", run {lock['run']}" + (f" of {lock['playbook']}" if lock["playbook"] else "")
    return f"{Owner.from_mapping(lock['owner'])}{what}, for {lock['age']}"


def refusal(lock: Mapping[str, t.Any], alive: bool | None = None) -> str:
    """Why it cannot be had, and what a person can do.

    :param alive: whether the owner's play was seen running; None when that cannot be seen from here.
    """
    if alive:
        advice = "Its play is still running: wait until it is through."
    else:
        left = spoken(max(0.0, lock["max_age"] - lock["age_seconds"]))
        advice = (
            f"Whether its play still runs cannot be seen from here. Wait until it is through; the lock is void in "
            f"{left}. If you know that it is dead, free the lock: ansible-playbook playbooks/deploy.yml --tags unlock"
        )
    return f"Another play is at work on this host: {description(lock)}. {advice}"


def spoken(seconds: float) -> str:
    whole = int(seconds)
    if whole < 90:
        return f"{whole} s"
    if whole < 90 * 60:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
