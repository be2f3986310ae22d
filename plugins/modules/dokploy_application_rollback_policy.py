#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dokploy_application_rollback_policy
short_description: Let Dokploy keep a snapshot of each build of an application, to roll back to
version_added: 0.1.0
description:
  - Dokploy keeps a snapshot of a build only if rollbacks are active for the application B(and) a registry is set for
    them before the build. With the switch alone it keeps none, and does not say so. This module sets both.
  - A snapshot is made of each successful deploy from then on. Builds of before have none.
  - Dokploy keeps the snapshots of its newest eleven deployments. Each holds the environment variables of its time.
  - M(vedfinance.platform.dokploy_rollback) uses them.
author:
  - The V-EdFinance platform team (@vedfinance)
extends_documentation_fragment:
  - vedfinance.platform.dokploy
  - vedfinance.platform.dokploy.application
  - vedfinance.platform.web
  - vedfinance.platform.attributes
  - vedfinance.platform.attributes.actiongroup_dokploy
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  active:
    description:
      - Whether snapshots are made. V(false) makes no more; the ones that exist stay usable, and the registry stays set.
    type: bool
    default: true
  registry:
    description:
      - The name of the registry in Dokploy that is to keep the snapshots.
      - When neither this nor O(registry_id) is given, it is the one that is set already, or the only one there is.
    type: str
  registry_id:
    description:
      - The id of the registry, when its name is not unique, or when the API key may not read registries.
    type: str
notes:
  - Dokploy makes snapshots with a registry from version 0.26 on.
seealso:
  - module: vedfinance.platform.dokploy_rollback
"""

EXAMPLES = r"""
- name: Keep a snapshot of each build from now on
  vedfinance.platform.dokploy_application_rollback_policy:
    dokploy_url: http://127.0.0.1:3000
    dokploy_api_key: "{{ platform_dokploy_api_key }}"
    project: vedfinance
    environment: production
    application: api
    registry: snapshots
"""

RETURN = r"""
application:
  description: The application as Dokploy holds it afterwards; as it is, in check mode.
  type: dict
  returned: success
  sample:
    id: iKGxALnfjMm3lPX3CDY-e
    name: api
    app_name: shop-api-jmwfym
    project: shop
    environment: production
    status: done
    source_type: git
before:
  description: The policy that was found.
  type: dict
  returned: success
  contains:
    active:
      description: Whether rollbacks are switched on.
      type: bool
    registry_id:
      description: The id of the registry that is set for them, or null.
      type: str
    registry:
      description: Its name; null when there is none, and with O(active=false).
      type: str
  sample: {active: false, registry_id: null, registry: null}
after:
  description: The policy that holds now, or would hold, in check mode. Its fields are those of RV(before).
  type: dict
  returned: success
  sample: {active: true, registry_id: GE4jB5VBRDHfTO2d6KUq9, registry: snapshots}
snapshots:
  description: How many successful deployments have a snapshot at present.
  type: int
  returned: success
  sample: 3
candidates:
  description: The registries, applications, environments or projects that could be meant.
  type: list
  elements: dict
  returned: when what is named is not unique
  sample:
    - {id: GE4jB5VBRDHfTO2d6KUq9, name: snapshots}
    - {id: VbAasUhEUM2zx5omLcS7R, name: snapshots}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.vedfinance.platform.plugins.module_utils._clock import SystemClock
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.argspec import (
    APPLICATION_ARGUMENTS,
    DOKPLOY_ARGUMENTS,
    client_from,
    query_from,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.rollback_policy import (
    ROLLBACK_POLICY_ARGUMENTS,
    keep_policy,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard, require_library
from ansible_collections.vedfinance.platform.plugins.module_utils._http import HAS_REQUESTS, REQUESTS_IMPORT_ERROR


def main() -> None:
    module = AnsibleModule(
        argument_spec={**DOKPLOY_ARGUMENTS, **APPLICATION_ARGUMENTS, **ROLLBACK_POLICY_ARGUMENTS},
        supports_check_mode=True,
    )
    require_library(module, "requests", HAS_REQUESTS, REQUESTS_IMPORT_ERROR)
    with guard(module):
        client = client_from(module.params, SystemClock())
        outcome = keep_policy(client, query_from(module.params), module.params, module.check_mode)
        for warning in outcome.warnings:
            module.warn(warning)
        module.exit_json(
            changed=outcome.changed,
            diff={"before": dict(outcome.before), "after": dict(outcome.after)},
            **outcome.to_result(),
        )


if __name__ == "__main__":
    main()
