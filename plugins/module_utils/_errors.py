# SPDX-License-Identifier: GPL-3.0-or-later
"""The one exception family of the collection: what happened, what to do, and what is known so far."""

from __future__ import annotations


class PlatformError(Exception):
    """A failure that a person can act on.

    :param msg: what happened, naming the file, option or call.
    :param hint: what to do next.
    :param details: values that are safe to return to Ansible.
    """

    def __init__(self, msg: str, hint: str | None = None, **details: object) -> None:
        super().__init__(msg)
        self.msg = msg
        self.hint = hint
        self.details: dict[str, object] = details

    def __str__(self) -> str:
        return f"{self.msg} {self.hint}" if self.hint else self.msg
