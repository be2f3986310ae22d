# SPDX-License-Identifier: GPL-3.0-or-later
"""Python reads this first in every process of a play that a test plays, ansible-playbook and modules alike.

``NOTED_CONNECTIONS`` names a file in which each connection is written down.
``KEPT_MODULES`` names a folder in which one run of the tests keeps what every play would make again: the zip of each
module with the module_utils that it needs, and the compiled code of them. It is half of the work of a play.
"""

from __future__ import annotations

import marshal
import os
import sys
import tempfile
from importlib import import_module
from types import CodeType
from typing import Any

# Their inner parts, which no type checker knows.
_imp: Any = import_module("_imp")
zipimport: Any = import_module("zipimport")


def note_connections(noted: str) -> None:
    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.getaddrinfo"):
            where = arguments[1] if event == "socket.connect" else arguments[0]
            if isinstance(where, tuple):
                where = where[0]
            with open(noted, "a") as file:
                file.write(f"{where}\n")

    sys.addaudithook(note)


def keep_modules(folder: str) -> None:
    """Ansible makes a module's zip once per ansible-playbook, under a lock between processes; here once for all."""
    make_folder = tempfile.mkdtemp
    kept = os.path.join(folder, "zips")
    os.makedirs(kept, exist_ok=True)

    def with_kept(suffix: Any = None, prefix: Any = None, dir: Any = None) -> Any:  # noqa: A002
        made = make_folder(suffix, prefix, dir)
        if isinstance(prefix, str) and prefix.startswith("ansible-local-"):
            os.symlink(kept, os.path.join(made, "ansiballz_cache"))
        return made

    tempfile.mkdtemp = with_kept


def keep_compiled(folder: str) -> None:
    """Python keeps no compiled code of what it imports from a zip."""
    compile_source = zipimport._compile_source
    kept = os.path.join(folder, sys.implementation.cache_tag)
    os.makedirs(kept, exist_ok=True)

    def kept_or_compiled(path: str, source: bytes) -> CodeType:
        file = os.path.join(kept, _imp.source_hash(0, source).hex())
        try:
            with open(file, "rb") as compiled:
                code: CodeType = marshal.load(compiled)
        except FileNotFoundError:
            code = compile_source(path, source)
            descriptor, unfinished = tempfile.mkstemp(dir=kept)
            with open(descriptor, "wb") as compiled:
                marshal.dump(code, compiled)
            os.replace(unfinished, file)
        # The zip was elsewhere; a traceback must name where it is.
        _imp._fix_co_filename(code, path)
        return code

    zipimport._compile_source = kept_or_compiled


if noted := os.environ.get("NOTED_CONNECTIONS"):
    note_connections(noted)
if kept := os.environ.get("KEPT_MODULES"):
    keep_modules(kept)
    keep_compiled(kept)
