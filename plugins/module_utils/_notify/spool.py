# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What outlives a run: messages that nobody took, and what is failing. Files of this user alone; no address in them."""

from __future__ import annotations

import fcntl
import json
import os
import re
import tempfile
import typing as t
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timezone

from .._errors import PlatformError
from .events import EVENTS, Event, Failing, State

_VERSION = 1
_STATE = ".failing.json"
_FOLDER_MODE = 0o700


@dataclass(frozen=True)
class Undelivered:
    """A message that waits for its channel.

    :param at: when it happened, in UTC.
    """

    event: Event
    channel: str
    contact: str
    at: str
    attempts: int
    reason: str
    because: str = ""
    path: str = ""

    def age(self, now: datetime) -> float:
        return (now - _moment(self.at)).total_seconds()


class Spool:
    """The folder. Whatever else calls at the same time waits, or leaves the sending to the first."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def prepare(self) -> None:
        try:
            os.makedirs(self.folder, mode=_FOLDER_MODE, exist_ok=True)
        except OSError as error:
            raise self._failure(error) from None

    # -- what is failing ------------------------------------------------------------------------------------------

    def state(self) -> State:
        """What is failing. A file that nobody can read tells nothing: a message is worth more than its history."""
        try:
            with open(os.path.join(self.folder, _STATE), encoding="utf-8") as file:
                return {key: Failing(int(one["failures"]), str(one["since"])) for key, one in json.load(file).items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def write_state(self, state: State) -> None:
        self._write(_STATE, {key: asdict(failing) for key, failing in sorted(state.items())})

    # -- messages -------------------------------------------------------------------------------------------------

    def put(self, message: Undelivered) -> str:
        """Keep a message, or what is now known of one that is kept; its path."""
        event = message.event
        stem = "_".join(_plain(part) for part in (event.run, event.name, event.host, event.database, message.channel))
        name = os.path.basename(message.path) or f"{stem}.json"
        content = {name: value for name, value in vars(message).items() if name not in ("event", "path")}
        return self._write(name, {"notify": _VERSION, **content, "event": asdict(event)})

    def waiting(self) -> tuple[list[Undelivered], list[str]]:
        """The messages, oldest first; and what is wrong with files that are none."""
        found, problems = [], []
        try:
            names = sorted(os.listdir(self.folder))
        except FileNotFoundError:
            return [], []
        except OSError as error:
            return [], [str(self._failure(error))]
        for name in names:
            if name.startswith(".") or not name.endswith(".json"):
                continue
            path = os.path.join(self.folder, name)
            try:
                found.append(_read(path))
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                problems.append(f"{path} is no message: {type(error).__name__}.")
        return sorted(found, key=lambda one: one.at), problems

    def remove(self, message: Undelivered) -> None:
        with suppress(FileNotFoundError):
            os.unlink(message.path)

    @contextmanager
    def locked(self, what: str, wait: bool = True) -> Iterator[bool]:
        """Alone with C(what), or not, when someone else is and C(wait) is false."""
        try:
            handle = os.open(os.path.join(self.folder, f".{what}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise self._failure(error) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            yield False
            return
        try:
            yield True
        finally:
            os.close(handle)

    def _write(self, name: str, content: t.Mapping[str, t.Any]) -> str:
        path = os.path.join(self.folder, name)
        try:
            # mkstemp makes files that only this user can read.
            handle, aside = tempfile.mkstemp(prefix=".new-", dir=self.folder)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    json.dump(content, file, indent=1, ensure_ascii=False)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(aside, path)
            except BaseException:
                os.unlink(aside)
                raise
        except OSError as error:
            raise self._failure(error) from None
        return path

    def _failure(self, error: OSError) -> PlatformError:
        return PlatformError(
            f"The spool {self.folder} cannot be used: {error.strerror}.",
            "Set spool (platform_notify_spool) to a folder of the user that runs the play.",
        )


def _read(path: str) -> Undelivered:
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    if content["notify"] != _VERSION or content["event"]["name"] not in EVENTS:
        raise ValueError("of another version")
    message = Undelivered(
        event=Event(**{one.name: str(content["event"][one.name]) for one in fields(Event)}),
        channel=str(content["channel"]),
        contact=str(content["contact"]),
        at=str(content["at"]),
        attempts=int(content["attempts"]),
        reason=str(content["reason"]),
        because=str(content["because"]),
    )
    _moment(message.at)
    return replace(message, path=path)


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)


def seconds_since(text: str, now: datetime) -> float:
    """How long ago that was, as utc_text wrote it; 0 for what is no time."""
    try:
        return max(0.0, (now - _moment(text)).total_seconds())
    except ValueError:
        return 0.0


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]+", "-", text).strip(".-")[:60] or "-"
