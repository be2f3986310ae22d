#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: api_health
short_description: Wait until an HTTP API is healthy, absent, or serves a given release
version_added: 0.1.0
description:
  - Asks an HTTP endpoint until the wanted state was seen O(consecutive) times in a row, or O(timeout) is over.
  - Judges the body and not only the status, because a reverse proxy answers 200 for an API that is down, and an
    integrity endpoint answers 200 with a failure inside.
  - Returns every attempt, also when it fails, so that an outage can be read from the result.
author:
  - The V-EdFinance platform team (@vedfinance)
extends_documentation_fragment:
  - vedfinance.platform.web
  - vedfinance.platform.web.expect
  - vedfinance.platform.attributes
  - vedfinance.platform.attributes.info_module
options:
  url:
    description:
      - The base address of the API, such as V(http://127.0.0.1:3001).
    type: str
    required: true
  path:
    description:
      - The path of the endpoint below O(url), or several to try.
      - Of several, the first that answers other than 404 is used.
    type: list
    elements: str
    default: [/api/health]
  state:
    description:
      - V(healthy) waits until the API answers as O(expect) says.
      - V(absent) waits until nothing answers, which means that the connection is refused. A timeout, a connection
        that is closed without an answer, or a name that cannot be resolved proves nothing and does not count.
    type: str
    choices: [healthy, absent]
    default: healthy
  absent_status:
    description:
      - With O(state=absent), the statuses by which a reverse proxy in front says that nothing is behind it.
      - Only V(502), V(503) and V(504) make sense. Without this option, any answer counts as alive.
    type: list
    elements: int
    default: []
  consecutive:
    description:
      - How many passes in a row are needed. A failure starts the count again.
      - A 429 (rate limited) proves life, but is no pass; it neither adds to the count nor starts it again.
    type: int
    default: 1
  interval:
    description:
      - How many seconds to wait from one attempt to the next. A C(Retry-After) of a 429 or 503 is honoured, up to 60
        seconds.
      - At least 1 for V(healthy) and 0.2 for V(absent); lower values are raised to that, so that the probe does not
        use up the rate limit of the API.
    type: float
    default: 1
  timeout:
    description:
      - How many seconds to try in all. With V(0) there is one attempt.
    type: float
    default: 60
  headers:
    description:
      - Headers to send. They are treated as secret; over plain HTTP to an address that is not loopback they are
        refused, unless O(allow_plain_http=true).
    type: dict
    default: {}
attributes:
  check_mode:
    details:
      - This module reads only. It really asks in check mode.
seealso:
  - module: vedfinance.platform.dokploy_service
  - module: ansible.builtin.uri
"""

EXAMPLES = r"""
- name: Wait until the API is up, in either of the two shapes of its health endpoint
  vedfinance.platform.api_health:
    url: http://127.0.0.1:3001
    path: [/api/health, /health]
    consecutive: 3
    timeout: 120
    expect:
      any:
        - path: status
          in: [ok, healthy]

- name: Prove that nothing answers before the database is replaced
  vedfinance.platform.api_health:
    url: http://127.0.0.1:3001
    state: absent
    consecutive: 3
    interval: 0.5
    timeout: 30

- name: Judge the integrity report by its body, since it answers 200 with a FAIL inside
  vedfinance.platform.api_health:
    url: http://127.0.0.1:3001
    path: [/api/debug/diagnostics/verify-integrity, /debug/verify-integrity]
    expect:
      all:
        - path: database.status
          equals: OK
      none:
        - path: "*.status"
          equals: FAIL
    timeout: 30

- name: Wait until the new release serves, and not only until its build is done
  vedfinance.platform.api_health:
    url: http://127.0.0.1:3001
    path: /api/version
    expect:
      version: 1.4.0
      commit: 3f2c1ab
    consecutive: 3
    timeout: 300
"""

RETURN = r"""
healthy:
  description: Whether the API was seen to be healthy.
  type: bool
  returned: always, when the options are right
  sample: true
absent:
  description: Whether the API was seen to be absent.
  type: bool
  returned: always, when the options are right
  sample: false
url:
  description: The address that was asked last.
  type: str
  returned: always, when the options are right
  sample: http://127.0.0.1:3001/api/health
path:
  description: The path that answered last, null when none did.
  type: str
  returned: always, when the options are right
  sample: /api/health
status:
  description: The status of the last attempt, null when it got no answer.
  type: int
  returned: always, when the options are right
  sample: 200
reason:
  description: Why the last attempt passed or not.
  type: str
  returned: always, when the options are right
  sample: passed
passes:
  description: How many passes in a row there were at the end.
  type: int
  returned: always, when the options are right
  sample: 3
attempts_total:
  description: How many attempts were made.
  type: int
  returned: always, when the options are right
  sample: 5
attempts:
  description: The last 50 attempts, oldest first.
  type: list
  elements: dict
  returned: always, when the options are right
  contains:
    at:
      description: When it began, in UTC.
      type: str
    status:
      description: The status of the answer, null when there was none.
      type: int
    latency_ms:
      description: How long the answer took to its last byte, null when there was none.
      type: float
    reason:
      description: Why it passed or not.
      type: str
  sample:
    - at: "2026-11-22T02:00:01Z"
      status: null
      latency_ms: null
      reason: Connection refused by http://127.0.0.1:3001/api/health.
    - at: "2026-11-22T02:00:02Z"
      status: 200
      latency_ms: 3.1
      reason: passed
latency_p50_ms:
  description: Half of the answers took no longer than this, null when there was none.
  type: float
  returned: always, when the options are right
  sample: 2.8
latency_p95_ms:
  description: 95 of 100 answers took no longer than this, null when there was none.
  type: float
  returned: always, when the options are right
  sample: 4.4
seconds:
  description: How long it all took.
  type: float
  returned: always, when the options are right
  sample: 4.1
body:
  description:
    - The last body, with secrets masked. JSON as such, unless it is longer than 4000 characters, else text, clipped
      to that.
  type: raw
  returned: always, when the options are right
  sample: {status: ok, uptime: 12.4}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._clock import SystemClock
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard, require_library
from ansible_collections.vedfinance.platform.plugins.module_utils._health import HEALTH_ARGUMENTS, probe_from, run_probe
from ansible_collections.vedfinance.platform.plugins.module_utils._http import (
    HAS_REQUESTS,
    REQUESTS_IMPORT_ERROR,
    RequestsTransport,
)


def main() -> None:
    module = AnsibleModule(argument_spec=HEALTH_ARGUMENTS, supports_check_mode=True)
    require_library(module, "requests", HAS_REQUESTS, REQUESTS_IMPORT_ERROR)
    with guard(module):
        transport = RequestsTransport(module.params["validate_certs"], module.params["ca_path"])
        module.exit_json(**run_probe(probe_from(module.params), transport, SystemClock()))


if __name__ == "__main__":
    main()
