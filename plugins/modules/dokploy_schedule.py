#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dokploy_schedule
short_description: Keep, remove or run a cron schedule in Dokploy
version_added: 0.1.0
description:
  - A schedule of Dokploy runs a command at the times of a cron expression, in the container of an application or of a
    service in a compose file, on a server that Dokploy manages, or on the host of Dokploy itself.
  - It is known by its name in the place it belongs to. If several have the name there, the module refuses and lists
    their ids.
  - Only what is given and differs is changed.
author:
  - The V-EdFinance platform team (@vedfinance)
extends_documentation_fragment:
  - vedfinance.platform.dokploy
  - vedfinance.platform.dokploy.application
  - vedfinance.platform.dokploy.compose
  - vedfinance.platform.web
  - vedfinance.platform.attributes
  - vedfinance.platform.attributes.actiongroup_dokploy
attributes:
  check_mode:
    support: full
    details:
      - Reads Dokploy and predicts; nothing is run.
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - O(state=run) runs the command each time, and is a change each time.
options:
  name:
    description:
      - The exact name of the schedule.
    type: str
    required: true
  state:
    description:
      - V(present) makes sure that the schedule exists with what is given.
      - V(absent) removes it, with the records of its runs.
      - V(run) does what V(present) does, and then runs it once, whether or not it is enabled. The module waits for the
        end, and fails when the command fails. Of a schedule that exists, O(name) is enough.
    type: str
    choices: [present, absent, run]
    default: present
  service_name:
    description:
      - The service in the compose file in whose container the command runs. Goes with O(compose) or O(compose_id).
    type: str
  server_id:
    description:
      - The id of a remote server of Dokploy on which the command runs, as root. Instead of a service.
    type: str
  dokploy_server:
    description:
      - Whether the command runs on the host of Dokploy itself, in its container. Instead of a service.
    type: bool
    default: false
  cron:
    description:
      - When it runs, as five fields (minute, hour, day of the month, month, day of the week), or V(@hourly),
        V(@daily), V(@weekly), V(@monthly) or V(@yearly).
      - Needed to create a schedule.
    type: str
  timezone:
    description:
      - The time zone in which O(cron) is meant, such as V(Asia/Ho_Chi_Minh).
      - V(UTC) in a new schedule.
    type: str
  command:
    description:
      - What to run. Needed to create a schedule.
      - Dokploy shows it to everyone who may see the service, and writes it into the log of each run. Let it take
        secrets from the environment of the container instead of spelling them out.
      - The diff and the result show it without what looks like a secret. That is a net with holes, and C(-vvv) shows
        the option as it was given. If you must spell out a secret, set C(no_log) on the task.
    type: str
  shell:
    description:
      - The shell that takes O(command). On a server it is always V(bash).
      - V(bash) in a new schedule. Small images have V(sh) only.
    type: str
    choices: [bash, sh]
  enabled:
    description:
      - Whether Dokploy runs it by itself. V(true) in a new schedule.
    type: bool
  wait_timeout:
    description:
      - How many seconds a run of O(state=run) may take. After that the module fails, while the run goes on.
    type: float
    default: 3600
  log_lines:
    description:
      - How many of the last lines of the log of a run to return.
    type: int
    default: 50
notes:
  - Built from what a real Dokploy 0.30 answered for schedules of applications, and from its source for those of a
    compose, of a server and of Dokploy's own host.
  - Dokploy does not tell with which exit code a command ended, only whether it was 0.
seealso:
  - module: vedfinance.platform.dokploy_backup
"""

EXAMPLES = r"""
- name: Clean up sessions every night at 03:30 in Vietnam
  vedfinance.platform.dokploy_schedule:
    dokploy_url: http://127.0.0.1:3000
    dokploy_api_key: "{{ platform_dokploy_api_key }}"
    project: vedfinance
    application: api
    name: clean-sessions
    cron: 30 3 * * *
    timezone: Asia/Ho_Chi_Minh
    command: node dist/tasks/clean-sessions.js
    shell: sh

- name: Run it now, and fail here if it fails
  vedfinance.platform.dokploy_schedule:
    dokploy_url: http://127.0.0.1:3000
    dokploy_api_key: "{{ platform_dokploy_api_key }}"
    project: vedfinance
    application: api
    name: clean-sessions
    state: run
    wait_timeout: 600
  register: cleaned

- name: Switch it off for a while
  vedfinance.platform.dokploy_schedule:
    dokploy_url: http://127.0.0.1:3000
    dokploy_api_key: "{{ platform_dokploy_api_key }}"
    project: vedfinance
    application: api
    name: clean-sessions
    enabled: false
"""

RETURN = r"""
schedule:
  description: The schedule as Dokploy holds it afterwards; in check mode, as it would be; null when it is absent.
  type: dict
  returned: success
  contains:
    id:
      description: Its id, null when it would be created.
      type: str
    type:
      description: What it belongs to, V(application), V(compose), V(server) or V(dokploy-server).
      type: str
    service_name:
      description: The service in the compose file.
      type: str
    name:
      description: Its name.
      type: str
    cron:
      description: When it runs.
      type: str
    timezone:
      description: In which time zone.
      type: str
    command:
      description: What it runs, without what looks like a secret.
      type: str
    shell:
      description: In which shell.
      type: str
    enabled:
      description: Whether Dokploy runs it by itself.
      type: bool
  sample:
    id: Udf2n65ST1C7Ta1e9DMHz
    type: application
    service_name: null
    name: clean-sessions
    cron: 30 3 * * *
    timezone: Asia/Ho_Chi_Minh
    command: node dist/tasks/clean-sessions.js
    shell: sh
    enabled: true
last_run:
  description: The latest run, null when there was none, also when its record is gone.
  type: dict
  returned: success, and when a run failed
  contains:
    deployment_id:
      description: The id of its record.
      type: str
    status:
      description: V(running), V(done), V(error) or V(cancelled).
      type: str
    started_at:
      description: When it began.
      type: str
    finished_at:
      description: When it ended, null when it did not.
      type: str
    seconds:
      description: How long it took.
      type: float
  sample:
    deployment_id: yrsPA93ZBPFJBjN5YB0k3
    status: done
    started_at: "2026-11-22T13:40:18.303Z"
    finished_at: "2026-11-22T13:40:18.427Z"
    seconds: 0.124
log:
  description: The last lines of the log of the run, without what looks like a secret.
  type: list
  elements: str
  returned: when it was run
  sample:
    - Initializing schedule
    - removed 12 sessions
    - "✅ Command executed successfully"
candidates:
  description: The ids of the schedules that bear the name, or the services that do.
  type: list
  elements: raw
  returned: when a name is not unique
  sample: [Udf2n65ST1C7Ta1e9DMHz, yrsPA93ZBPFJBjN5YB0k3]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._clock import SystemClock
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.argspec import (
    APPLICATION_ARGUMENTS,
    COMPOSE_ARGUMENTS,
    DOKPLOY_ARGUMENTS,
    client_from,
    query_from,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.schedules import (
    SCHEDULE_ARGUMENTS,
    keep_schedule,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard, require_library
from ansible_collections.vedfinance.platform.plugins.module_utils._http import HAS_REQUESTS, REQUESTS_IMPORT_ERROR


def main() -> None:
    module = AnsibleModule(
        argument_spec={**DOKPLOY_ARGUMENTS, **APPLICATION_ARGUMENTS, **COMPOSE_ARGUMENTS, **SCHEDULE_ARGUMENTS},
        mutually_exclusive=[[one, other] for one in APPLICATION_ARGUMENTS for other in COMPOSE_ARGUMENTS],
        supports_check_mode=True,
    )
    require_library(module, "requests", HAS_REQUESTS, REQUESTS_IMPORT_ERROR)
    with guard(module):
        clock = SystemClock()
        client = client_from(module.params, clock)
        outcome = keep_schedule(client, clock, query_from(module.params), module.params, module.check_mode)
        module.exit_json(**outcome.to_result())


if __name__ == "__main__":
    main()
