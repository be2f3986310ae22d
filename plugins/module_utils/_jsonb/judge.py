# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges documents as COPY sends them."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from .schema import Complaint, Schema

_NULL = "\\N"
_ESCAPED = re.compile(r"\\(.)")
_MEANING = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
# Documents that were accepted are known again, as many and as long as this; many columns hold few different ones.
_KNOWN_AT_MOST = 8192
_KNOWN_LENGTH = 1024
_WORD = 64


@dataclass
class Tally:
    """What was found; two of them can be added."""

    rows: int = 0
    null: int = 0
    checked: int = 0
    invalid: int = 0
    #: Of these, the ones that a former result did not name.
    new: int = 0
    offenders: list[dict[str, Any]] = field(default_factory=list)
    #: A sum of hashes of all offenders' ids, in any order.
    digest: int = 0

    def add(self, other: Tally, most: int) -> None:
        self.rows += other.rows
        self.null += other.null
        self.checked += other.checked
        self.invalid += other.invalid
        self.new += other.new
        self.digest = (self.digest + other.digest) % (1 << _WORD)
        self.offenders = (self.offenders + other.offenders)[:most]


class Judge:
    """Judges the rows of one column.

    :param old: ids of offenders that are known already, and not named again.
    :param most: how many offenders are named.
    """

    def __init__(self, schema: Schema, *, nullable: bool, is_text_json: bool, old: Container[str], most: int) -> None:
        self._schema = schema
        self._nullable = nullable
        self._is_text_json = is_text_json
        self._old = old
        self._most = most
        self._parse = json.JSONDecoder().decode
        self._accepted: set[str] | None = set()

    def judge(self, data: bytes) -> Tally:
        """Whole rows of COPY's text format: the document, then the columns of its id."""
        tally = Tally()
        accepted = self._accepted
        lines = data.decode().split("\n")
        lines.pop()
        repeated = 0
        for line in lines:
            document, _tab, key = line.partition("\t")
            if accepted is not None and document in accepted:
                repeated += 1
                continue
            if document == _NULL:
                tally.null += 1
                if not self._nullable:
                    self._note(tally, key, Complaint("$", "is NULL"))
                continue
            complaint = self._complaint(self._unescaped(document) if "\\" in document else document)
            if complaint is not None:
                self._note(tally, key, complaint)
            elif accepted is not None and len(document) <= _KNOWN_LENGTH and len(accepted) < _KNOWN_AT_MOST:
                accepted.add(document)
        tally.rows = len(lines)
        tally.checked = tally.rows - tally.null
        if accepted is not None and len(accepted) >= _KNOWN_AT_MOST and repeated * 10 < len(lines):
            # They are all different: looking for them only takes time.
            self._accepted = None
        return tally

    def _complaint(self, text: str) -> Complaint | None:
        try:
            document = self._parse(text)
        except RecursionError:
            return Complaint("$", "is nested too deeply to be judged")
        except ValueError:
            # PostgreSQL has parsed it; Python takes no number of more than some thousand digits.
            return Complaint("$", "cannot be read: it holds a number that is too long")
        return self._schema.complaint(document)

    def _unescaped(self, text: str) -> str:
        if self._is_text_json:
            return _ESCAPED.sub(lambda match: _MEANING.get(match[1], match[1]), text)
        # The server writes jsonb without line breaks, tabs and the like.
        return text.replace("\\\\", "\\")

    def _note(self, tally: Tally, key: str, complaint: Complaint) -> None:
        name = ", ".join(_ESCAPED.sub(lambda match: _MEANING.get(match[1], match[1]), part) for part in key.split("\t"))
        tally.invalid += 1
        word = blake2b(name.encode(), digest_size=_WORD // 8).digest()
        tally.digest = (tally.digest + int.from_bytes(word, "little")) % (1 << _WORD)
        if name in self._old:
            return
        tally.new += 1
        if len(tally.offenders) < self._most:
            tally.offenders.append({"id": name, "path": complaint.path, "message": complaint.message})


def judge_all(judge: Judge, pieces: Iterable[bytes], most: int) -> Tally:
    tally = Tally()
    for piece in pieces:
        tally.add(judge.judge(piece), most)
    return tally
