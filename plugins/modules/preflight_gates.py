#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_gates
short_description: Run the gates that a release must pass, where the checkout is
version_added: 0.1.0
description:
  - Runs tests, linters and other commands, and looks at the git checkout, each with its time and its log. It fails when
    a gate that is not O(gates[].optional) does not pass.
  - Missing programs are looked for before anything runs. A gate that hangs is ended at its timeout, with all that it
    has started; what a killed run of the same checkout left behind is ended by the next one.
  - A gate is skipped only with a reason, which is in the result.
  - A line is shown when a gate begins and when it ends.
author:
  - The V-EdFinance platform team (@vedfinance)
extends_documentation_fragment:
  - vedfinance.platform.attributes
attributes:
  check_mode:
    support: full
    details:
      - Runs no gate. Tells which would run, and which programs are missing; RV(passed) is null then.
  diff_mode:
    support: N/A
    details:
      - Nothing is compared.
  idempotent:
    support: full
    details:
      - The gates run each time. What they change themselves is not known here, and RV(ignore:changed) is never V(true).
options:
  checkout:
    description: The folder of the git checkout, on the host that runs the module.
    type: path
    required: true
  gates:
    description: The gates, in their order.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: What it is called in messages, in the name of its log and in O(skipped).
        type: str
        required: true
      kind:
        description:
          - V(command) passes with exit status 0.
          - V(ci_status) is such a command as well, asked again every O(gates[].interval) seconds while its status is
            one of O(gates[].pending_exit_codes). It finds the commit in C(PREFLIGHT_COMMIT), the branch in
            C(PREFLIGHT_BRANCH).
          - V(clean_tree) wants everything to be committed, V(branch) wants O(gates[].branch) to be checked out.
          - V(commit_message) wants the first line of each commit that O(gates[].remote)'s O(gates[].branch) has not got
            to match O(gates[].pattern). Merges are not judged. The remote is not asked; what the checkout last saw of
            it counts.
        type: str
        choices: [command, clean_tree, branch, commit_message, ci_status]
        default: command
      command:
        description: A list of words, which no shell reads, or one line for C(/bin/sh).
        type: raw
      chdir:
        description: Where to run it, relative to O(checkout).
        type: str
        default: .
      timeout:
        description: The seconds that it may take.
        type: float
        default: 600
      optional:
        description: Whether it may fail.
        type: bool
        default: false
      never_skip:
        description: Refuse to skip it, whatever the reason.
        type: bool
        default: false
      environment:
        description:
          - Variables for this gate, beside those of the user who runs it; C(CI=true) is among them.
          - What looks like a secret is refused here, see O(secret_environment).
        type: dict
        default: {}
      lock_file:
        description: A file, relative to O(checkout), by which a hang or failure is explained when it is there.
        type: str
      get_tool:
        description: Where its program can be had, for the message when it is missing.
        type: str
      hint:
        description: What to do when it fails.
        type: str
      branch:
        description: The branch of V(branch) and V(commit_message).
        type: str
        default: main
      remote:
        description: The remote of V(commit_message).
        type: str
        default: origin
      pattern:
        description: A regular expression of Python for V(commit_message), whatever the case.
        type: str
        default: '^(?:(?:Revert|Reapply) ")?\(ved-[0-9a-z.]+\) \S'
      pending_exit_codes:
        description: The exit statuses of V(ci_status) that mean "not yet". C(gh pr checks) says 8.
        type: list
        elements: int
        default: [8, 75]
      interval:
        description: Seconds between two questions of V(ci_status), at least 1.
        type: float
        default: 10
  parallel:
    description: How many gates run at the same time.
    type: int
    default: 1
  keep_going:
    description: Run the others too when a gate has failed. Otherwise no further one begins.
    type: bool
    default: false
  skipped:
    description: Reasons by the name of a gate. An unknown name or an empty reason is refused.
    type: dict
    default: {}
  log_dir:
    description:
      - A folder for the logs, one for each gate and run, of which the last 10 are kept. Choose one outside of the
        checkout, or one that git ignores.
      - Secrets that are known or look like one are masked in them. Without it, only the last lines are in the result.
    type: path
  secret_environment:
    description: Variables for all gates that nobody shall read. They are masked in logs and results.
    type: dict
    default: {}
  progress_interval:
    description: Seconds between two looks at what has begun or ended. V(0) shows nothing.
    type: float
    default: 2
  progress_file:
    description: The file in which the progress stands, as in M(vedfinance.platform.pg_restore_from_dump).
    type: path
notes:
  - What a gate starts in the background is ended with it, on hosts that show the environment of processes
    (C(/proc)); elsewhere only what stays in its process group.
seealso:
  - module: vedfinance.platform.jsonb_check
"""

EXAMPLES = r"""
- name: The gates of the runbook
  vedfinance.platform.preflight_gates:
    checkout: /home/ann/v-edfinance
    log_dir: /home/ann/.local/state/vedfinance/preflight
    gates:
      - {name: branch, kind: branch}
      - {name: clean tree, kind: clean_tree, never_skip: true}
      - {name: commit messages, kind: commit_message}
      - {name: tests, command: [pnpm, test], timeout: 1800}
      - {name: lint, command: [pnpm, --filter, web, lint]}
      - name: beads
        command: [bd, sync, --no-daemon]
        timeout: 60
        lock_file: .beads/daemon.lock
  delegate_to: localhost

- name: Two at a time, one of them skipped and one that may fail
  vedfinance.platform.preflight_gates:
    checkout: /home/ann/v-edfinance
    parallel: 2
    keep_going: true
    gates:
      - {name: tests, command: pnpm test --run}
      - {name: lint, command: pnpm --filter web lint}
      - {name: audit, command: [pnpm, audit, --prod], optional: true}
    skipped:
      lint: the rule import/order is broken since eslint 9.2, see ved-311
  delegate_to: localhost

- name: Has CI passed for this commit?
  vedfinance.platform.preflight_gates:
    checkout: /home/ann/v-edfinance
    gates:
      - name: CI
        kind: ci_status
        command: gh pr checks --required
        timeout: 900
    secret_environment:
      GH_TOKEN: "{{ github_token }}"
  delegate_to: localhost
"""

RETURN = r"""
msg:
  description: One sentence for people.
  returned: always
  type: str
  sample: "5 gates passed. Skipped: lint (the rule import/order is broken since eslint 9.2, see ved-311)."
passed:
  description: Whether the release may begin; null in check mode.
  returned: when the options are right
  type: bool
  sample: true
gates:
  description: How each gate ended, in the order of O(gates).
  returned: when the options are right
  type: list
  elements: dict
  contains:
    name:
      description: Its name.
      type: str
    kind:
      description: Its kind.
      type: str
    what:
      description: What it does, for people.
      type: str
    optional:
      description: Whether it may fail.
      type: bool
    outcome:
      description:
        - V(passed), V(failed), V(skipped), V(missing_tool) or V(timed_out).
        - V(not_run) when an earlier one had failed; V(would_run) in check mode.
      type: str
    reason:
      description: Why it ended so, or the reason of O(skipped).
      type: str
    hint:
      description: What to do.
      type: str
    seconds:
      description: How long it took.
      type: float
    exit_code:
      description: The exit status of its command; null without one, or when it was ended.
      type: int
    log:
      description: The file with all that it said; null without O(log_dir) and for gates that look at git.
      type: str
    tail:
      description: The last 20 lines of that, with secrets masked.
      type: list
      elements: str
  sample:
    - name: tests
      kind: command
      what: pnpm test
      optional: false
      outcome: passed
      reason: ""
      hint: ""
      seconds: 41.3
      exit_code: 0
      log: /home/ann/.local/state/vedfinance/preflight/20261122T020000Z_tests.log
      tail: ["Tests  214 passed (214)"]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._clock import SystemClock
from ansible_collections.vedfinance.platform.plugins.module_utils._errors import PlatformError
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard
from ansible_collections.vedfinance.platform.plugins.module_utils._hangup import ended_with_the_play
from ansible_collections.vedfinance.platform.plugins.module_utils._preflight.gates import GATE, gates_of, skips_of
from ansible_collections.vedfinance.platform.plugins.module_utils._preflight.preflight import (
    World,
    checkout_at,
    preflight_of,
    run_gates,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._preflight.processes import Processes
from ansible_collections.vedfinance.platform.plugins.module_utils._preflight.verdict import verdict_of
from ansible_collections.vedfinance.platform.plugins.module_utils._progress import Progress


def run(params: dict[str, Any], check: bool, progress: Progress) -> dict[str, Any]:
    gates = gates_of(params["gates"])
    clock = SystemClock()
    stamp = clock.now().strftime("%Y%m%dT%H%M%SZ")
    preflight = preflight_of(params, gates, skips_of(params["skipped"], gates), stamp)
    world = World(Processes(preflight.checkout), lambda: checkout_at(preflight.checkout), clock, progress)
    return verdict_of(run_gates(preflight, world, check=check), check=check)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "checkout": {"type": "path", "required": True},
            "gates": {"type": "list", "elements": "dict", "required": True, "options": GATE},
            "parallel": {"type": "int", "default": 1},
            "keep_going": {"type": "bool", "default": False},
            "skipped": {"type": "dict", "default": {}},
            "log_dir": {"type": "path"},
            "secret_environment": {"type": "dict", "default": {}, "no_log": True},
            "progress_interval": {"type": "float", "default": 2},
            "progress_file": {"type": "path"},
        },
        supports_check_mode=True,
    )
    with guard(module):
        with ended_with_the_play(), Progress(module.params["progress_file"]) as progress:
            result = run(module.params, module.check_mode, progress)
        if result["passed"] is False:
            details = {name: value for name, value in result.items() if name != "msg"}
            raise PlatformError(result["msg"], None, changed=False, **details)
        # Outside, as the watcher of the play writes empty lines.
        module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
