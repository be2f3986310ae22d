# SPDX-License-Identifier: GPL-3.0-or-later
"""Builds a staging database from a judged dump and proves it. Touches nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from ..._errors import PlatformError
from ..._progress import Progress
from ..connect import Server, Session
from ..dump.model import Dump
from ..dump.source import Tools
from . import database as databases
from .early import EarlyStart
from .load import Loaded, Loader
from .mark import Origin
from .plan import Outstanding
from .planning import Planned
from .proof import Proof, prove
from .report import Options, Report
from .roles import Renaming, create_roles, mapping_for
from .warm import origin_for


class Builder:
    """Makes staging databases."""

    def __init__(self, server: Server, options: Options, tools: Tools, report: Report, progress: Progress) -> None:
        self._server = server
        self._options = options
        self._tools = tools
        self._report = report
        self._progress = progress

    def build(
        self, session: Session, planned: Planned, dump: Dump, *, swaps: bool, early: EarlyStart | None = None
    ) -> tuple[list[Outstanding], Origin]:
        """Create, load, prove. Whoever calls this holds :meth:`discarded_on_failure` around it.

        :param swaps: a database that takes over at once gets quick statistics, and its indexes as the options say.
        :param early: what was begun already.
        :returns: the indexes that were left out, and what the new database shall say of itself.
        """
        report, staging, properties = self._report, planned.staging, planned.properties
        if planned.preflight.missing_roles and self._options.roles == "create":
            create_roles(session, planned.preflight.missing_roles)
        renaming = self._renaming(planned, dump)
        loader = Loader(
            self._server, staging, dump, self._tools,
            owner=properties.owner, superuser=planned.preflight.superuser, jobs=planned.jobs,
            defer_indexes=swaps and self._options.defer_indexes, quick_statistics=swaps,
            progress=self._progress, renaming=renaming, planned=planned.load,
        )  # fmt: skip
        with report.phase("create"):
            begun = early.begun(properties) if early is not None else None
            if begun is None:
                databases.create(session, staging, properties)
            elif not loader.goes_on_from(begun):
                begun.session.close()
                databases.drop(session, staging)
                databases.create(session, staging, properties)
        with report.phase("load"):
            loaded = loader.load()
        report.seconds.update(loaded.seconds)
        for note in loaded.notes:
            report.note(note)
        report.plan["load"] = loaded.plan
        with report.phase("verify"):
            self._progress.begin("verify")
            self._prove(session, planned, dump, loaded, renaming)
        took = report.seconds["create"] + report.seconds["load"] + report.seconds["verify"]
        mapping = renaming.mapping if renaming is not None else {}
        return loaded.outstanding, origin_for(dump, planned.subject.file, self._options, mapping, took)

    def _renaming(self, planned: Planned, dump: Dump) -> Renaming | None:
        if self._options.roles != "map":
            return None
        mapping = mapping_for(planned.preflight.missing_roles, self._options.role_map, planned.properties.owner)
        return Renaming(mapping, owners=dump.owners, encoding=dump.encoding)

    def _prove(self, session: Session, planned: Planned, dump: Dump, loaded: Loaded, renaming: Renaming | None) -> None:
        report, staging, options = self._report, planned.staging, self._options

        def connect() -> AbstractContextManager[Session]:
            return self._server.connect(staging, "verify")

        with connect() as inside:
            proof = prove(
                inside, dump, loaded.rows, options.invariants,
                level=options.verify, deferred=frozenset(one.index for one in loaded.outstanding), connect=connect,
                jobs=planned.jobs, skip=options.skip_checks, renamed=renaming.mapping if renaming is not None else None,
            )  # fmt: skip
        self._carry_over(session, staging, planned.properties, proof)
        report.proof = proof.as_dicts()
        for table in report.tables:
            table["rows"] = proof.rows.get(table["name"], 0)
        report.rows = sum(table["rows"] for table in report.tables)
        if not proof.holds:
            failures = "; ".join(f"{check.name} {check.result}: {check.detail}" for check in proof.failures)
            raise PlatformError(f"The restored database was not proved: {failures}.", "Look at the dump, take another.")

    @staticmethod
    def _carry_over(session: Session, staging: str, properties: databases.Properties, proof: Proof) -> None:
        def check() -> list[str]:
            databases.apply_properties(session, staging, properties)
            lacking = databases.differences(session, staging, properties)
            return [f"{what} of {properties.taken_from} could not be carried over" for what in lacking]

        proof.check("settings and grants of the database", check)

    @contextmanager
    def discarded_on_failure(self, staging: str) -> Iterator[None]:
        """Leave nothing behind; a lost connection is made anew for it."""
        try:
            yield
        except BaseException as error:
            self._discard(staging, error)
            raise

    def _discard(self, staging: str, error: BaseException) -> None:
        try:
            with self._server.connect(purpose="discard") as session:
                databases.drop(session, staging)
        except PlatformError as another:
            if isinstance(error, PlatformError):
                error.hint = (
                    f"{error.hint or ''} Staging database {staging} could not be dropped ({another.msg.rstrip('.')});"
                    " the next restore removes it."
                ).strip()
