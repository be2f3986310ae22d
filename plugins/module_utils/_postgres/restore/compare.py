# SPDX-License-Identifier: GPL-3.0-or-later
"""What a recovery would lose: the rows of the live database against those of the dump. A report, never a refusal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SHOWN = 5


def compare(live: Mapping[str, int], dump: Mapping[str, int | None], tolerance: float) -> dict[str, Any]:
    """Every table whose number of rows would change by more than the tolerance, the heaviest loss first.

    :param dump: rows by table; None where only the server can count them.
    :param tolerance: in percent of the live rows.
    """
    tables: list[dict[str, Any]] = []
    for table in {**live, **dump}:
        live_rows, dump_rows = live.get(table, 0), dump.get(table, 0)
        if dump_rows is not None and abs(dump_rows - live_rows) * 100 > live_rows * tolerance:
            difference = dump_rows - live_rows
            tables.append({"table": table, "live_rows": live_rows, "dump_rows": dump_rows, "difference": difference})
    tables.sort(key=lambda one: (one["difference"], one["table"]))
    lost, gained = ([one for one in tables if sign * one["difference"] > 0] for sign in (-1, 1))
    msg = "; ".join(
        f"the recovery would {what} {_rows(sum(abs(one['difference']) for one in some))} in {_tables(some)}"
        for what, some in (("lose", lost), ("bring back", gained[::-1]))
        if some
    )
    unknown = sum(rows is None for rows in dump.values())
    if not msg:
        msg = "the recovery would change no number of rows"
        if tolerance:
            msg += f" by more than {tolerance:g} %"
    if unknown:
        msg += f"; {unknown} tables are INSERT statements in the dump and were not compared"
    return {"msg": f"{msg[0].upper()}{msg[1:]}.", "tables": tables}


def _rows(number: int) -> str:
    return f"{number:,} row{'' if number == 1 else 's'}"


def _tables(some: list[dict[str, Any]]) -> str:
    named = ", ".join(f"{one['table']} {_signed(one['difference'])}" for one in some[:_SHOWN])
    more = f" and {len(some) - _SHOWN} more" if len(some) > _SHOWN else ""
    return f"{len(some)} table{'' if len(some) == 1 else 's'}: {named}{more}"


def _signed(difference: int) -> str:
    return f"{difference:+,}".replace("-", "\N{MINUS SIGN}")
