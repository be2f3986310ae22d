# SPDX-License-Identifier: GPL-3.0-or-later
"""What Prisma says when it fails, in words that help, each with a safe remedy.

Its native engine prints a code. Its WASM engine prints the same sentences, and for most of them no code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_CODE = re.compile(r"\b(P[13]\d{3})\b")
_SQLSTATE = re.compile(r"(?:Database error code:\s*|code: SqlState\(E?|Code:\s*`)([0-9A-Z]{5})\b")
_SAID = re.compile(r"^\s*(?:Database error:\s*)?(?:Error querying the database:\s*)?ERROR:\s*(.+)$", re.MULTILINE)
_BY_SENTENCE = (
    ("P1000", re.compile(r"Authentication failed against")),
    ("P1001", re.compile(r"Can't reach database server")),
    ("P1002", re.compile(r"acquire a postgres advisory lock|was reached but timed out")),
    ("P1003", re.compile(r"Database `[^`]*` does not exist")),
    ("P1012", re.compile(r"Environment variable not found")),
    ("P3018", re.compile(r"apply_migration::apply_script|A migration failed to apply")),
)
_STATES = (
    ("42P17", re.compile(r"must be marked IMMUTABLE")),
    # Before those of relations, which their sentences hold too.
    ("42701", re.compile(r"column \"[^\"]+\" of relation \"[^\"]+\" already exists")),
    ("42703", re.compile(r"column \"[^\"]+\"(?: of relation \"[^\"]+\")? does not exist")),
    ("42P01", re.compile(r"No such table|relation \"[^\"]+\" does not exist")),
    ("42704", re.compile(r"type \"[^\"]+\" does not exist")),
    ("42P07", re.compile(r"relation \"[^\"]+\" already exists")),
    ("57014", re.compile(r"canceling statement due to (?:statement timeout|user request)")),
    ("55P03", re.compile(r"canceling statement due to lock timeout")),
    ("25001", re.compile(r"cannot run inside a transaction block|cannot be executed from a function or")),
)
_MEANINGS = {
    "P1000": ("The database refused the login.", "Check user and password of the database URL."),
    "P1001": (
        "The database cannot be reached from where Prisma ran.",
        "Check host and port of the database URL, as that machine or container sees them, and network.",
    ),
    "P1002": (
        (
            "Prisma did not get its advisory lock (72707369) within 10 s: another migration holds it, or one that was"
            " killed has left its session behind."
        ),
        (
            "See who holds it: state=deployed tells before it begins, and in pg_locks. Remove a forgotten container of"
            " a migration; end the session with pg_terminate_backend only when its migration is known to be dead."
        ),
    ),
    "P1003": ("The database does not exist.", "Check the database's name in the URL; nothing makes it here."),
    "P1010": ("The role may not use this database.", "Give it the rights, or use the owner's role for migrations."),
    "P1012": ("The schema or its environment is not valid.", "Run 'prisma validate' where the code is."),
    "P1017": ("The server closed the connection.", "See the server's log; was it restarted, or out of memory?"),
    "P3005": (
        "The schema is not empty and no migration is noted in it.",
        (
            "Is it the right database? If so, make a baseline with 'prisma migrate resolve --applied' for each"
            " migration that it already contains."
        ),
    ),
    "P3006": (
        "A migration does not run on the shadow database.",
        "Only development needs a shadow database: use 'migrate deploy' here, never 'migrate dev'.",
    ),
    "P3008": (
        "The migration is noted as applied already.",
        "Nothing needs to be resolved; look at the status again.",
    ),
    "P3009": (
        "A failed migration is in the database, and blocks all later ones.",
        (
            "See what of it is there. Undo that and mark it with 'prisma migrate resolve --rolled-back', or complete it"
            " and mark it with 'prisma migrate resolve --applied', or restore the dump from before."
        ),
    ),
    "P3015": ("A folder holds no migration.sql.", "Restore the file from git, or delete the folder."),
    "P3018": (
        "A statement of a migration failed. It is marked as failed and blocks all later ones (P3009).",
        (
            "Mend what the database said. A part of the statements may be in the database: Prisma's native engine runs"
            " a migration as one transaction unless it holds its own, its WASM engine runs statement by statement."
        ),
    ),
    "P3019": ("The provider differs from the one in migration_lock.toml.", "See that it is the right schema."),
}
_STATE_MEANINGS = {
    "25001": "CONCURRENTLY stands among other statements: give it a migration of its own.",
    "42P01": "a table is not there that the migration takes for granted: the wrong database, or drift.",
    "42701": "the column is there already: an attempt before this one was not undone, or drift.",
    "42703": "a column is not there that the migration takes for granted: the wrong database, or drift.",
    "42P07": "what shall be made is there already: an attempt before this one was not undone, or drift.",
    "42704": "a type is not there: an extension such as vector is missing, or drift.",
    "42P17": "a function in an index is not IMMUTABLE.",
    "55P03": "a lock was not got within lock_timeout: somebody used the table. Nothing waited behind it; try again.",
    "57014": "a statement took longer than statement_timeout.",
    "23502": "rows are empty where they must not be: fill them first.",
    "23505": "rows are there twice: clean them first.",
    "23503": "rows point to what is not there: clean them first.",
    "42501": "the role may not do this: extensions and other people's tables need another role.",
}


@dataclass(frozen=True)
class Explained:
    """Why Prisma failed.

    :param code: Prisma's code, or the one that its sentence stands for; None when nobody knows it.
    :param said: what PostgreSQL said.
    """

    code: str | None
    sqlstate: str | None
    said: str | None
    meaning: str
    remedy: str

    def __str__(self) -> str:
        name = " ".join(each for each in (self.code, self.sqlstate and f"(SQLSTATE {self.sqlstate})") if each)
        said = f" PostgreSQL said: {self.said.rstrip('.')}." if self.said else ""
        state = _STATE_MEANINGS.get(self.sqlstate or "")
        about = f" That means: {state}" if state else ""
        return f"{name}{': ' if name else ''}{self.meaning}{said}{about}"


def explain(output: str) -> Explained:
    """What the output of ``prisma migrate`` says about a failure."""
    code = next((each for each, sentence in _BY_SENTENCE if sentence.search(output)), None)
    printed = _CODE.search(output)
    code = printed.group(1) if printed else code
    state = _SQLSTATE.search(output)
    sqlstate = state.group(1) if state else None
    if sqlstate is None:
        sqlstate = next((each for each, sentence in _STATES if sentence.search(output)), None)
    said = _SAID.search(output) or re.search(r"^(No such table: .+)$", output, re.MULTILINE)
    meaning, remedy = _MEANINGS.get(code or "", ("Prisma failed, and gave no code that is known.", "See its output."))
    return Explained(code, sqlstate, said.group(1).strip() if said else None, meaning, remedy)
