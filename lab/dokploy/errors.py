# SPDX-License-Identifier: GPL-3.0-or-later
"""Every error that a procedure answers, in Dokploy's words."""

from __future__ import annotations

from typing import Any

STATUS = {
    "BAD_REQUEST": 400,
    "UNAUTHORIZED": 401,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_SUPPORTED": 405,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "INTERNAL_SERVER_ERROR": 500,
}
TRPC_CODE = {
    "BAD_REQUEST": -32600,
    "UNAUTHORIZED": -32001,
    "FORBIDDEN": -32003,
    "NOT_FOUND": -32004,
    "METHOD_NOT_SUPPORTED": -32005,
    "UNSUPPORTED_MEDIA_TYPE": -32015,
    "INTERNAL_SERVER_ERROR": -32603,
}


class ApiError(Exception):
    """An answer that is not 200; `issues` are those of a failed validation."""

    def __init__(self, code: str, message: str, issues: list[dict[str, Any]] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.issues = issues

    @property
    def status(self) -> int:
        return STATUS[self.code]

    def data(self, path: str | None) -> dict[str, Any]:
        where = {} if path is None else {"path": path}
        return {"code": self.code, "httpStatus": self.status, **where, "zodError": self._flattened()}

    def _flattened(self) -> dict[str, Any] | None:
        if self.issues is None:
            return None
        form: list[str] = []
        fields: dict[str, list[str]] = {}
        for issue in self.issues:
            if issue["path"]:
                fields.setdefault(str(issue["path"][0]), []).append(issue["message"])
            else:
                form.append(issue["message"])
        return {"formErrors": form, "fieldErrors": fields}


def not_found(what: str) -> ApiError:
    return ApiError("NOT_FOUND", f"{what} not found")


def invalid(issues: list[dict[str, Any]]) -> ApiError:
    return ApiError("BAD_REQUEST", "Input validation failed", issues)
