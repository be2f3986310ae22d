# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: summary
type: aggregate
short_description: One table at the end of a run over several platforms
version_added: 0.1.0
author:
  - The V-EdFinance platform team (@vedfinance)
description:
  - Says of each platform how it ended, after how many seconds, and with which figures or for which reason. It stands
    below the recap, also when every platform failed or a failure kept the play from the others, which no last play
    could do. Of a single platform it says nothing.
  - The figures are those that a playbook has kept for a host under C(platforms), with M(ansible.builtin.set_stats).
    AWX shows the same ones among the artifacts of the job.
requirements:
  - to be enabled as C(callbacks_enabled = vedfinance.platform.summary) in the section C([defaults]) of C(ansible.cfg)
"""

from typing import Any

from ansible import context
from ansible.plugins.callback import CallbackBase
from ansible_collections.vedfinance.platform.plugins.module_utils._clock import SystemClock
from ansible_collections.vedfinance.platform.plugins.plugin_utils._summary import FIGURES, Summary


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "vedfinance.platform.summary"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._summary = Summary(SystemClock())

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._summary.expect(play.get_variable_manager().get_vars(play=play)["ansible_play_hosts_all"])

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        self._summary.begin(host.get_name())

    def v2_runner_on_ok(self, result: Any) -> None:
        self._summary.end(result._host.get_name())

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._summary.end(result._host.get_name())

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._summary.end(result._host.get_name(), None if ignore_errors else _message(result))

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._summary.end(result._host.get_name(), _message(result))

    def v2_playbook_on_stats(self, stats: Any) -> None:
        figures = stats.custom.get("_run", {}).get(FIGURES, {})
        lines = self._summary.lines(stats.failures, stats.dark, figures, bool(context.CLIARGS.get("check")))
        if lines:
            self._display.display("\n".join(["", *lines]))


def _message(result: Any) -> str:
    return str(result._result.get("msg") or "no message")
