# SPDX-License-Identifier: GPL-3.0-or-later
"""The walk of a backup: look, dump one moment, judge what was written, encrypt, name it, send it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ..._errors import PlatformError
from ..._hangup import HungUp
from ..._progress import Progress
from ..connect import Server, Session
from ..dump.judge import judge
from ..dump.model import Dump, DumpRejected
from ..dump.report import in_units
from ..dump.tools import Tools
from ..restore.lock import exclusive
from . import files
from .command import SESSIONS, Compression, Packing, PgDump, judge_words, pg_dump_for
from .encryption import Recipients
from .manifest import DIGEST_OF, Manifest, ManifestError, TableContent, is_plain_name, manifest_of
from .naming import DEFAULT, dump_name, suffix_of
from .offsite import Remote
from .snapshot import Digested, Snapshot, StoredTable, exported, identity_of, table_bytes
from .stream import Pace, filtered, streamed, written

BACKUP = "backup"
#: What a first dump is taken to need, for each byte of the tables; later ones go by the last.
_FIRST_GUESS = {"none": 1.5, "gzip": 0.6, "zstd": 0.6}
_GROWTH = 1.2
_LOOK_AT_DISK_EVERY = 32 << 20
_ORPHANS_END = 5.0


@dataclass(frozen=True)
class Options:
    """What the user asked for; the module's documentation says what each means."""

    database: str
    folder: str
    name: str = DEFAULT
    format: str = "custom"
    compression: Compression = field(default_factory=lambda: Compression("gzip"))
    jobs: int = 1
    nice: int = 10
    rate_limit: int | None = None
    disk_floor: int = 0
    verify_dump: bool = True
    digests: bool = False
    latest_link: str | None = None
    release: str | None = None
    recipients: Recipients = field(default_factory=Recipients)
    remote: Remote | None = None
    lock_timeout: float = 60.0


@dataclass
class Report:
    """The module's result, filled stage by stage, so that a failure can say how far it came."""

    database: str
    changed: bool = False
    msg: str = ""
    dump: str | None = None
    manifest_path: str | None = None
    manifest: dict[str, Any] | None = None
    rows: int | None = None
    plan: dict[str, Any] = field(default_factory=dict)
    latest_link: str | None = None
    removed_partials: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    diff: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._begun = time.monotonic()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        begun = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = time.monotonic() - begun

    @contextmanager
    def kept_on_failure(self) -> Iterator[None]:
        """An error takes along all that is known."""
        try:
            yield
        except HungUp as ended:
            raise self._told_by(ended.as_error()) from None
        except PlatformError as error:
            raise self._told_by(error) from None
        finally:
            self.seconds["total"] = time.monotonic() - self._begun

    def note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def as_result(self) -> dict[str, Any]:
        result = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        result["seconds"] = {phase: round(seconds, 3) for phase, seconds in self.seconds.items()}
        diff = result.pop("diff")
        return {**result, **({"diff": diff} if diff else {})}

    def _told_by(self, error: PlatformError) -> PlatformError:
        error.details = {**self.as_result(), **error.details}
        for unhelpful in ("msg", "diff"):
            error.details.pop(unhelpful, None)
        kept = (
            f"The dump {self.dump} is whole and counts."
            if self.dump
            else "No new dump counts; older ones are untouched."
        )
        error.hint = f"{error.hint or ''} {kept}".strip()
        return error


def back_up(server: Server, options: Options, tools: Tools, progress: Progress, *, check: bool) -> Report:
    """Make one dump. In check mode: look, plan, and write nothing.

    :raises PlatformError: with the report so far among its details.
    """
    return _Backup(server, options, tools, progress).run(check)


class _Backup:
    def __init__(self, server: Server, options: Options, tools: Tools, progress: Progress) -> None:
        self._server = server
        self._options = options
        self._tools = tools
        self._progress = progress
        self._report = Report(options.database)
        self._floor = _Floor(options.folder, options.disk_floor)

    def run(self, check: bool) -> Report:
        report, options = self._report, self._options
        with report.kept_on_failure():
            require_folder(options.folder)
            _require_link(options)
            options.recipients.require(options.format)
            if options.rate_limit and options.format == "directory":
                raise PlatformError(
                    "A rate_limit cannot be kept with format: directory, whose files pg_dump writes by itself.",
                    "Use format: custom, or leave rate_limit out.",
                )
            if options.remote is not None:
                options.remote.require()
            if check:
                with self._server.connect(purpose="plan") as session:
                    self._plan(session)
                report.changed = True
                return report
            with exclusive(self._server, options.database, BACKUP, options.lock_timeout) as session:
                self._clear(session)
                self._make(session, self._plan(session))
        return report

    # -- before --------------------------------------------------------------------------------------------------

    def _plan(self, session: Session) -> _Plan:
        report, options = self._report, self._options
        if session.value("SELECT true FROM pg_database WHERE datname = %s", (options.database,)) is None:
            raise PlatformError(f"There is no database {options.database}.", "Check the option database.")
        with self._server.connect(options.database, "plan") as inside:
            size = table_bytes(inside)
            identity = identity_of(inside, self._server)
            version = inside.server_version
        pg_dump = pg_dump_for(self._server, options.database, version, self._tools, options.nice)
        packing = pg_dump.packing(options.format, options.compression)
        if pg_dump.inside and options.format == "directory":
            raise PlatformError(
                f"pg_dump of the container cannot write the folder {options.folder} of this host.",
                f"Install postgresql-client-{version // 10000} on the host, or use format: custom.",
            )
        now = datetime.now(timezone.utc)
        layers = [*packing.layers, *options.recipients.layers]
        suffix = suffix_of(options.format, layers)
        name = dump_name(options.name, options.database, now, options.release, suffix)
        if os.path.lexists(os.path.join(options.folder, name)):
            raise PlatformError(
                f"{os.path.join(options.folder, name)} exists already, and no dump is ever written over.",
                "Put the time into the option name, as its default does.",
            )
        estimate, source = self._estimate(size)
        # The judged one and the encrypted one stand side by side for a while.
        twice = options.verify_dump and bool(options.recipients.layers)
        needed = estimate * (2 if twice else 1) + options.disk_floor
        free = files.free_bytes(options.folder)
        report.plan = {
            "path": os.path.join(options.folder, name),
            "format": options.format,
            "compression": str(options.compression),
            "encrypted_for": list(options.recipients.names),
            "pg_dump": pg_dump.version + (" in the container" if pg_dump.inside else ""),
            "estimated_bytes": estimate,
            "estimate_from": source,
            "disk": {"path": options.folder, "free": free, "needed": needed},
            "latest_link": options.latest_link,
            "offsite": options.remote.path_of(name) if options.remote else None,
        }
        report.msg = (
            f"Would dump {options.database} to {report.plan['path']}, about {in_units(estimate)} ({source});"
            f" {in_units(free)} are free."
        )
        report.diff = {"before": "", "after": f"{name}\n{name}{files.MANIFEST}\n"}
        if options.latest_link and options.latest_link.endswith(".sql") and (options.format, layers) != ("plain", []):
            report.note(f"{options.latest_link} will point to {name}, which psql cannot read; this collection can.")
        if free < needed:
            raise PlatformError(
                f"The folder {options.folder} has {in_units(free)} free, and the dump needs {in_units(needed)}"
                + (
                    f", of which {in_units(options.disk_floor)} (disk_floor) must stay free."
                    if options.disk_floor
                    else "."
                ),
                "Make room, for example with vedfinance.platform.pg_backup_retention.",
            )
        return _Plan(name, now, pg_dump, packing, identity, estimate)

    def _estimate(self, size: int) -> tuple[int, str]:
        """What the dump will need, by the newest one of its kind, else by the tables."""
        options, newest = self._options, None
        for entry in os.scandir(options.folder):
            if entry.name.endswith(files.MANIFEST) and not entry.name.startswith("."):
                try:
                    found = Manifest.read(entry.path)
                except ManifestError:
                    continue
                same = (found.database, found.format, found.compression.partition(":")[0])
                if same == (options.database, options.format, options.compression.method):
                    newest = found if newest is None or found.began_at > newest.began_at else newest
        if newest is not None:
            return int(newest.bytes * _GROWTH), f"a little more than {newest.dump}"
        return int(size * _FIRST_GUESS[options.compression.method]), f"from tables of {in_units(size)}"

    def _clear(self, session: Session) -> None:
        """The lock is ours, so whatever an earlier run of this database left has no owner any more."""
        orphans = session.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = %s AND datname = %s AND usename = current_user",
            (SESSIONS, self._options.database),
        )
        removed, left = files.remove_dead(self._options.folder, _ORPHANS_END if orphans else 0)
        self._report.removed_partials = removed
        for name in left:
            self._report.note(f"{name} was left: another run is making it, or the file system cannot tell.")

    # -- the dump ------------------------------------------------------------------------------------------------

    def _make(self, session: Session, plan: _Plan) -> None:
        report, options = self._report, self._options
        with ExitStack() as unfinished:
            is_folder = options.format == "directory"
            clear_name = plan.name + ".clear" if self._encrypts_afterwards else plan.name
            dump = unfinished.enter_context(files.Partial(options.folder, clear_name, is_folder=is_folder))
            contents, head = self._dump(dump, plan)
            judged = self._judge(dump) if options.verify_dump else None
            tables = _compared(judged, contents)
            if self._encrypts_afterwards:
                dump = self._encrypt(dump, unfinished.enter_context(files.Partial(options.folder, plan.name)))
            with report.phase("finish"):
                manifest = Manifest(
                    dump=plan.name,
                    sha256=judged.sha256 if judged and not self._encrypts_afterwards else files.sha256_of(dump.path),
                    bytes=files.size_of(dump.path),
                    format=options.format,
                    compression=str(options.compression),
                    database=options.database,
                    began=plan.began.isoformat(timespec="seconds"),
                    ended=datetime.now(timezone.utc).isoformat(timespec="seconds"),
                    encrypted_for=options.recipients.names,
                    server={**plan.identity, "host": plan.identity["host"] or socket.gethostname()},
                    pg_dump=plan.pg_dump.version,
                    tables=tables,
                    digest_of=DIGEST_OF if options.digests else None,
                    migration_head=head,
                    release=options.release,
                )
                self._name(dump, manifest)
        if options.latest_link:
            files.point(options.folder, options.latest_link, plan.name)
            report.latest_link = os.path.join(options.folder, options.latest_link)
        if options.remote is not None:
            manifest = self._send(options.remote, manifest)
        report.msg = (
            f"{options.database} was dumped to {report.dump}: {manifest.rows} rows, {in_units(manifest.bytes)}"
            + (", whole by its own judge" if options.verify_dump else "")
            + (f", copied to {options.remote.path_of(plan.name)}." if options.remote else ".")
        )

    @property
    def _encrypts_afterwards(self) -> bool:
        """What is encrypted cannot be judged without a secret key, which has no business here."""
        return self._options.verify_dump and bool(self._options.recipients.layers)

    def _dump(self, dump: files.Partial, plan: _Plan) -> tuple[dict[str, Digested | TableContent], str | None]:
        report, options = self._report, self._options
        with exported(self._server, options.database) as snapshot:
            head, tables = snapshot.migration_head(), snapshot.tables()
            if options.digests or not options.verify_dump:
                snapshot.hold(tables, options.lock_timeout)
            with report.phase("dump"):
                self._progress.begin("dump", plan.estimate)
                self._run_pg_dump(dump, plan, snapshot)
            with report.phase("count"):
                return self._contents(snapshot, tables), head

    def _run_pg_dump(self, dump: files.Partial, plan: _Plan, snapshot: Snapshot) -> None:
        options, pg_dump = self._options, plan.pg_dump
        # -w never asks for a password.
        words = ["-w", f"--format={options.format}", f"--snapshot={snapshot.id}", *plan.packing.option]
        words.append(f"--lock-wait-timeout={int(options.lock_timeout * 1000)}")
        filters = list(plan.packing.filters)
        if options.recipients.layers and not options.verify_dump:
            filters.append(options.recipients.command)
        if options.format == "directory":
            words.append(f"--jobs={options.jobs}")
        # pg_dump itself notes in a custom archive where each table begins, which a parallel restore needs; in a pipe
        # it cannot.
        alone = options.format == "directory" or (options.format == "custom" and not filters and not pg_dump.inside)
        if alone and not options.rate_limit:
            command = [*pg_dump.start, *words, f"--file={dump.path}"]
            ended = written(command, pg_dump.environment, dump.lock, lambda: files.size_of(dump.path), self._watch)
        else:
            pace = Pace(options.rate_limit)
            ended = streamed([*pg_dump.start, *words], pg_dump.environment, filters, dump.lock, pace, self._watch)
        secrets = [self._server.password] if self._server.password else []
        for remark in judge_words(ended.said, ended.status, secrets):
            self._report.note(remark)

    def _contents(self, snapshot: Snapshot, tables: Sequence[StoredTable]) -> dict[str, Digested | TableContent]:
        """The tables of the very moment of the dump; where the judge reads the dump anyway, it counts their rows."""
        options = self._options
        found: dict[str, Digested | TableContent] = {}
        self._progress.begin("count", len(tables), "tables")
        for table in tables:
            self._progress.doing(str(table))
            if options.digests:
                found[str(table)] = snapshot.digest(table)
            else:
                found[str(table)] = TableContent(None) if options.verify_dump else snapshot.count(table)
            self._progress.add(1)
        return found

    def _watch(self, count: int) -> None:
        self._progress.add(count)
        self._floor.watch(count)

    def _judge(self, dump: files.Partial) -> Dump:
        with self._report.phase("judge"):
            try:
                return judge(dump.path, self._tools, digests=self._options.digests, progress=_Lent(self._progress))
            except DumpRejected as rejected:
                raise PlatformError(
                    f"The dump that pg_dump has written would be refused by a restore: {rejected.msg}",
                    "Run it again; when it happens twice, look at the disk, and at what the message names.",
                ) from None

    def _encrypt(self, clear: files.Partial, target: files.Partial) -> files.Partial:
        with self._report.phase("encrypt"):
            self._progress.begin("encrypt", files.size_of(clear.path))
            filtered(clear.path, self._options.recipients.command, target.lock, self._watch)
        return target

    # -- behind --------------------------------------------------------------------------------------------------

    def _name(self, dump: files.Partial, manifest: Manifest) -> None:
        """The manifest first: from the moment that a dump counts, it has one."""
        report, folder = self._report, self._options.folder
        path = os.path.join(folder, manifest.dump)
        manifest.write(manifest_of(path))
        try:
            dump.keep_as(manifest.dump)
        except BaseException:
            files.remove(manifest_of(path))
            raise
        report.changed = True
        report.dump, report.manifest_path = path, manifest_of(path)
        report.manifest, report.rows = manifest.as_dict(), manifest.rows
        report.diff = {"before": "", "after": f"{manifest.dump}\n{manifest.dump}{files.MANIFEST}\n"}

    def _send(self, remote: Remote, manifest: Manifest) -> Manifest:
        report, path = self._report, str(self._report.dump)
        with report.phase("offsite"):
            self._progress.begin("offsite", 0)
            sent = remote.deliver(path, manifest)
        report.manifest = sent.as_dict()
        return sent


@dataclass(frozen=True)
class _Plan:
    name: str
    began: datetime
    pg_dump: PgDump
    packing: Packing
    identity: dict[str, str | None]
    estimate: int


class _Lent(Progress):
    """Another's progress, which whoever borrows it must not end."""

    def __init__(self, lender: Progress) -> None:
        super().__init__()
        self._lender = lender

    def begin(self, phase: str, total: int = 0, unit: str = "bytes") -> None:
        self._lender.begin(phase, total, unit)

    def add(self, amount: int, rows: int = 0) -> None:
        self._lender.add(amount, rows)


class _Floor:
    """Stops what would fill the disk: a database on the same disk would stop with it."""

    def __init__(self, folder: str, floor: int) -> None:
        self._folder = folder
        self._floor = floor
        self._unseen = 0

    def watch(self, count: int) -> None:
        self._unseen += count
        if self._unseen < _LOOK_AT_DISK_EVERY:
            return
        self._unseen = 0
        if files.free_bytes(self._folder) < self._floor:
            raise PlatformError(
                f"The dump is larger than was estimated: less than {in_units(self._floor)} (disk_floor) are free.",
                "Make room, or lower disk_floor.",
            )


def _compared(judged: Dump | None, contents: dict[str, Digested | TableContent]) -> dict[str, TableContent]:
    """What the dump holds, by table; it must be what the server held at its moment."""
    if judged is None:
        return {name: one.content if isinstance(one, Digested) else one for name, one in contents.items()}
    lacking = sorted(set(contents) - set(judged.data))
    if lacking:
        raise PlatformError(
            f"The dump lacks the data of {_some(lacking)}.", "Is the role allowed to see them? See pg_dump's remarks."
        )
    tables = {}
    comparable = judged.encoding.upper() in ("UTF8", "UTF-8")
    for name, data in judged.data.items():
        one = contents.get(name, TableContent(None))
        if isinstance(one, Digested):
            other = one.content.rows != data.rows or (comparable and data.digest not in (None, one.judges))
            if other:
                raise PlatformError(
                    f"The dump's rows of {name} are not those that the server gives of the same moment.",
                    "Look at the server's log and its disk: one of the two was read wrongly.",
                )
            tables[name] = one.content
        else:
            tables[name] = TableContent(data.rows)
    return tables


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def require_folder(folder: str) -> None:
    """Can dumps be written there?"""
    if not os.path.isdir(folder):
        raise PlatformError(f"The folder {folder} does not exist.", "Make it, or check the path; is the disk mounted?")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        raise PlatformError(f"The folder {folder} cannot be written.", "Run with become: true, or as its owner.")


def _require_link(options: Options) -> None:
    link = options.latest_link
    if link is None:
        return
    if not is_plain_name(link):
        raise PlatformError(f"Option latest_link is {link!r}.", "Write a file name, as in latest_dump.sql.")
    path = os.path.join(options.folder, link)
    if os.path.lexists(path) and not os.path.islink(path):
        raise PlatformError(
            f"{path} is no link, and what it holds may be somebody's only dump.", "Move it away, or name another link."
        )
