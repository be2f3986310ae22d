#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dokploy_rollback
short_description: Bring back a version of a Dokploy application that served before, and prove that it serves
version_added: 0.1.0
description:
  - Dokploy answers a rollback at once, keeps no record of it, and does not notice when Docker Swarm reverts it. This
    module chooses a way that is really open, takes it, and reports success only when the old version was seen to serve.
  - When there is no way, it refuses and says what to switch on so that the next time there is one.
  - There are three ways. A B(snapshot) is the image and the settings of a former build, environment variables and
    number of replicas included, which Dokploy keeps in a registry if it was told to
    (M(vedfinance.platform.dokploy_application_rollback_policy)). It is quick, but does not last. An B(image) is
    deployed again by its tag, for a docker source. A branch or tag in B(git) is built again, for a source that Dokploy
    builds.
  - The rollback is remembered in the description of the application, where the dashboard shows it, so that a second run
    changes nothing.
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
      - Reads Dokploy, chooses and predicts. What would be refused is refused.
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - A second run changes nothing, as long as the API key may read Docker. When it may not, what serves cannot be
        seen, and a snapshot is applied again.
options:
  state:
    description:
      - V(rolled_back) brings an old version back.
      - V(listed) only reads, and returns RV(targets).
      - V(unpinned) puts back what former rollbacks have stored (RV(stored)), unless somebody has changed it since. It
        does not touch what runs. Use it before the mended version is deployed.
    type: str
    choices: [rolled_back, listed, unpinned]
    default: rolled_back
  to:
    description:
      - V(previous) is what served before the newest successful deployment. A failed build changes nothing about that,
        nor does a rollback that was made already, by this module or by Docker Swarm.
      - Otherwise the id of a deployment, a commit of which at least seven digits are given, or an image or its tag.
        For a docker source it may be an image of which Dokploy keeps no record.
      - When not given, it is V(previous), or what O(git_ref) holds.
    type: str
  strategy:
    description:
      - The way back. V(auto) takes the first that is open, in the order V(snapshot), V(image), V(git).
    type: str
    choices: [auto, snapshot, image, git]
    default: auto
  git_ref:
    description:
      - A branch or tag that holds the old version. It is stored as the branch of the application or compose service,
        and deployed.
      - A commit will not do, since Dokploy clones with C(--branch). Put a tag on it.
    type: str
  pin:
    description:
      - Whether a snapshot is made to last. The next deploy, rebuild or reload leads back to the newest version, unless
        Dokploy holds the image (for a docker source) or O(git_ref) (for a source that it builds) of the old one; with
        V(true) that is stored.
      - Where there is neither, it switches only the automatic deploys off, so that no push brings the newest version
        back; a deploy by a person still does. RV(sticky) tells.
      - The ways V(image) and V(git) of O(strategy) last in any case.
    type: bool
    default: false
  wait_for_builds:
    description:
      - A build that is queued or running would undo the rollback. V(false) refuses as long as there is one, V(true)
        waits for it.
    type: bool
    default: false
  wait_timeout:
    description:
      - How many seconds it may take in all, builds included.
    type: float
    default: 600
  stable_for:
    description:
      - For how many seconds the old version must run without a task that fails, before it is believed.
    type: float
    default: 10
  api_url:
    description:
      - The address at which the application answers, to be asked for its version as well, with O(expect_version) or
        O(expect_commit). Needed when the API key may not read Docker.
    type: str
  version_path:
    description:
      - The path at which it tells its version.
    type: str
    default: /api/version
  expect_version:
    description:
      - The version that the application must report.
    type: str
  expect_commit:
    description:
      - The commit that the application must report; at least seven digits of it.
    type: str
seealso:
  - module: vedfinance.platform.dokploy_application_rollback_policy
  - module: vedfinance.platform.dokploy_deploy
  - module: vedfinance.platform.dokploy_info
"""

EXAMPLES = r"""
- name: Bring back what served before the last deploy
  vedfinance.platform.dokploy_rollback:
    dokploy_url: http://127.0.0.1:3000
    dokploy_api_key: "{{ platform_dokploy_api_key }}"
    project: vedfinance
    environment: production
    application: api
    to: previous

- name: See what there is to return to
  vedfinance.platform.dokploy_rollback:
    dokploy_url: http://127.0.0.1:3000
    dokploy_api_key: "{{ platform_dokploy_api_key }}"
    project: vedfinance
    application: api
    state: listed
  register: history

- name: Return to a tag, and stay there
  vedfinance.platform.dokploy_rollback:
    dokploy_url: http://127.0.0.1:3000
    dokploy_api_key: "{{ platform_dokploy_api_key }}"
    project: vedfinance
    application: api
    git_ref: v1.4.0

- name: Follow the branch again, once the mended version is on it
  vedfinance.platform.dokploy_rollback:
    dokploy_url: http://127.0.0.1:3000
    dokploy_api_key: "{{ platform_dokploy_api_key }}"
    project: vedfinance
    application: api
    state: unpinned
"""

RETURN = r"""
application:
  description:
    - The application as Dokploy holds it afterwards; as it is, in check mode. Its fields are those that
      M(vedfinance.platform.dokploy_service) returns.
  type: dict
  returned: when it was found, and is an application
  sample:
    kind: application
    id: iKGxALnfjMm3lPX3CDY-e
    name: api
    app_name: shop-api-jmwfym
    project: shop
    environment: production
    status: done
    source_type: git
compose:
  description: The compose service as Dokploy holds it afterwards; as it is, in check mode.
  type: dict
  returned: when it was found, and is a compose service
  sample:
    kind: compose
    id: S-QBiKGxALnfjMm3lPX3C
    name: stack
    app_name: shop-stack-yhgiut
    project: shop
    environment: production
    status: done
    source_type: git
targets:
  description: The deployments of which Dokploy keeps a record, newest first, as they were found.
  type: list
  elements: dict
  returned: when they were read
  contains:
    id:
      description: The id of the deployment.
      type: str
    title:
      description: Its title, for a source that Dokploy builds the message of the commit.
      type: str
    status:
      description: How it ended.
      type: str
    created_at:
      description: When it began.
      type: str
    commit:
      description: The commit that was built, when Dokploy noted one.
      type: str
    image:
      description: The image that a docker source pulled, when it can be known.
      type: str
    snapshot:
      description: The name of its image in the rollback registry.
      type: str
    serving:
      description: Whether it is what all running tasks run. Nothing is V(true) when that cannot be seen.
      type: bool
    strategy:
      description: The way back to it that needs nothing more, or null.
      type: str
    reason:
      description: Why there is none.
      type: str
  sample:
    - id: sXOqcULtduuqeSc_mxabC
      title: "feat: B"
      status: done
      created_at: "2026-11-22T13:31:12.412Z"
      commit: cecb88670548c9303da5d73c9c99185c7bd08ac5
      image: null
      snapshot: shop-web-yhgiut:v1
      serving: false
      strategy: snapshot
      reason: null
from:
  description: What served before.
  type: dict
  returned: when O(state=rolled_back) and a way was found
  contains:
    deployment:
      description: The id of the deployment, when there is a record of it.
      type: str
    image:
      description: The image, when it is known.
      type: str
    commit:
      description: The commit, when it is known.
      type: str
    replicas:
      description: The number of replicas, when it is known.
      type: int
  sample:
    deployment: y4jPm595K_fqT8F0NjFBn
    image: shop-web-yhgiut:latest
    commit: fc9f484d0e853c4426bbf03db77ee7b05aa3d50f
    replicas: 1
to:
  description: What serves now, or would, in check mode. Its fields are those of RV(from).
  type: dict
  returned: when O(state=rolled_back) and a way was found
  sample:
    deployment: sXOqcULtduuqeSc_mxabC
    image: shop-web-yhgiut:v1
    commit: cecb88670548c9303da5d73c9c99185c7bd08ac5
    replicas: 1
strategy:
  description: The way that was taken.
  type: str
  returned: when O(state=rolled_back) and a way was found
  sample: snapshot
sticky:
  description: Whether the next deploy, rebuild or reload leads to the same version again.
  type: bool
  returned: when O(state=rolled_back) and a way was found
  sample: false
stored:
  description:
    - What was changed of the settings of the application, by their names in Dokploy, with their values before and
      after.
  type: dict
  returned: when O(state) is V(rolled_back) or V(unpinned), and a way was found
  sample: {customGitBranch: {before: main, after: v1.4.0}}
environment_changes:
  description:
    - The names of the environment variables that a snapshot brings, takes away or changes; never their values.
    - null for the other ways, which leave them as they are.
  type: dict
  returned: when O(state=rolled_back) and a way was found
  sample: {added: [], removed: [FEATURE_FLAGS], changed: [API_LIMIT]}
verdict:
  description:
    - The judgement of what runs, as M(vedfinance.platform.dokploy_deploy) returns it; null when nothing was done.
  type: dict
  returned: when O(state=rolled_back) and a way was found
  sample: {serving: true, reasons: [its tasks have run for 10 s]}
deployment:
  description: The record of the deployment, for the ways V(image) and V(git) of O(strategy); null for a snapshot.
  type: dict
  returned: when O(state=rolled_back) and a way was found
  sample: {id: lPWfbtqPZPGdqXDr5Un6t, title: "Rollback to registry.example.com/shop/api:1.4.0", status: done}
log_tail:
  description: The last lines of the log of that deployment, without what looks like a secret.
  type: list
  elements: str
  returned: when O(state=rolled_back) and a way was found
  sample: ["Pulling registry.example.com/shop/api:1.4.0"]
failing_line:
  description: The line of the log that tells why it failed, or null.
  type: str
  returned: when O(state=rolled_back) and a way was found
  sample: null
waited:
  description: How many seconds it took.
  type: float
  returned: when O(state=rolled_back) and a way was found
  sample: 14.2
candidates:
  description: The applications, environments or projects that bear the name that was given.
  type: list
  elements: dict
  returned: when the name is not unique
  sample:
    - {id: iKGxALnfjMm3lPX3CDY-e, name: api}
    - {id: HP548PjminvS82pxuGAbU, name: api}
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
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.rollback import ROLLBACK_ARGUMENTS, roll_back
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard, require_library
from ansible_collections.vedfinance.platform.plugins.module_utils._http import (
    HAS_REQUESTS,
    REQUESTS_IMPORT_ERROR,
    RequestsTransport,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec={**DOKPLOY_ARGUMENTS, **APPLICATION_ARGUMENTS, **COMPOSE_ARGUMENTS, **ROLLBACK_ARGUMENTS},
        mutually_exclusive=[(one, other) for one in APPLICATION_ARGUMENTS for other in COMPOSE_ARGUMENTS],
        supports_check_mode=True,
    )
    require_library(module, "requests", HAS_REQUESTS, REQUESTS_IMPORT_ERROR)
    with guard(module):
        clock = SystemClock()
        client = client_from(module.params, clock)
        transport = RequestsTransport(module.params["validate_certs"], module.params["ca_path"])
        outcome = roll_back(client, clock, transport, query_from(module.params), module.params, module.check_mode)
        for warning in outcome.warnings:
            module.warn(warning)
        module.exit_json(
            changed=outcome.changed,
            diff={"before": outcome.before, "after": outcome.after},
            **outcome.to_result(),
        )


if __name__ == "__main__":
    main()
