#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dokploy_deploy
short_description: Deploy an application or compose service of Dokploy, and prove that the new version serves
version_added: 0.1.0
description:
  - Dokploy answers a deploy at once, with nothing, and later says V(done) as soon as Docker has taken the order. Docker
    Swarm then puts the old version back by itself when the new one fails, and Dokploy does not notice. This module
    follows its own deployment among all others, shows the log of its build, and succeeds only when the new version
    serves.
  - It serves when the record of the deployment is V(done), when all tasks were replaced and have run for
    O(stable_for) seconds without one of them failing, and when the application itself says so, if O(api_url) names it.
    When tasks failed meanwhile, only an image that did not run before, or O(expect_version) or O(expect_commit), proves
    that it is not the old version that came back.
  - What could not be proved is a failure. Without the permission to read Docker, only the application's own word
    counts.
  - When another deployment of the same service follows, that one is waited for, and must have brought the same version.
  - While it works, new lines of the build log are shown.
author:
  - The V-EdFinance platform team (@vedfinance)
extends_documentation_fragment:
  - vedfinance.platform.dokploy
  - vedfinance.platform.dokploy.application
  - vedfinance.platform.dokploy.compose
  - vedfinance.platform.web
  - vedfinance.platform.web.expect
  - vedfinance.platform.attributes
  - vedfinance.platform.attributes.actiongroup_dokploy
attributes:
  check_mode:
    support: full
    details:
      - Reads Dokploy and predicts; nothing is sent and nothing is waited for. Which commit a build would find is not
        known before.
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - A deploy is an act, and is done as often as it is asked for. With O(unless_version) or O(unless_commit) it is
        done only while the API does not serve that version.
options:
  method:
    description:
      - V(deploy) fetches the source or the image, and builds and starts it, as the button Deploy.
      - V(rebuild) builds what is on the server already, and fetches nothing, as the button Rebuild.
      - V(watch) sends nothing. It waits for the deployment of O(commit) that a push has started, and judges it.
    type: str
    choices: [deploy, rebuild, watch]
    default: deploy
  commit:
    description:
      - The commit that must have been built, at least 7 characters of it. Dokploy builds the newest of its branch,
        whatever is asked for; when that is another, the module fails, unless O(expect_version) or O(expect_commit)
        holds.
      - Needed with O(method=watch).
    type: str
  title:
    description:
      - The title of the deployment in the dashboard. After a build from git, Dokploy shows the message of the commit in
        its place.
    type: str
  description:
    description:
      - The description of the deployment in the dashboard. A mark is added, by which the deployment is found again.
    type: str
  image:
    description:
      - The image to deploy, for an application whose source is a Docker image. It is stored in Dokploy, so that later
        deploys use it too.
    type: str
  git_ref:
    description:
      - The branch or tag to deploy, for what is built from git. It is stored in Dokploy, so that later deploys use it
        too. Dokploy cannot build a bare commit.
    type: str
  keep_source_on_failure:
    description:
      - Whether O(image) or O(git_ref) stays stored in Dokploy when the deployment fails. When V(false), the former one
        is put back, so that the next deploy does not bring the bad one again.
    type: bool
    default: false
  wait:
    description:
      - Whether to wait for the end of the deployment and to prove what serves. When V(false), the module returns as
        soon as the deployment is queued, and nothing is proved.
    type: bool
    default: true
  wait_timeout:
    description:
      - How many seconds to wait in all, for other builds in the queue, the build and its proof.
    type: float
    default: 900
  appear_timeout:
    description:
      - With O(method=watch), how many seconds to wait until the deployment appears.
    type: float
    default: 120
  stable_for:
    description:
      - For how many seconds the new tasks must run, and the application must tell the right version, before it is
        believed.
    type: float
    default: 10
  resubmit:
    description:
      - How often a deployment that was lost, because Dokploy was restarted or its queue was cleaned, is sent again.
    type: int
    default: 0
  log_lines:
    description:
      - How many of the last lines of the build log to return.
    type: int
    default: 50
  api_url:
    description:
      - The address at which the application answers, such as V(http://127.0.0.1:3001).
    type: str
  version_path:
    description:
      - The path below O(api_url) at which it tells its version.
    type: str
    default: /api/version
  expect_version:
    description:
      - The version that the application must tell, at C(version) in its JSON body; O(expect.version_path) names
        another place.
    type: str
  expect_commit:
    description:
      - The commit that the application must tell, at C(commit) in its JSON body; O(expect.commit_path) names another
        place. Either of the two may be abbreviated to at least 7 characters.
    type: str
  unless_version:
    description:
      - When the application tells this version already, several times in a row, and nothing is being built or queued,
        nothing is done.
    type: str
  unless_commit:
    description:
      - The same, for its commit.
    type: str
  progress_interval:
    description:
      - Seconds between two looks at what is new in the log of the build, printed by the controller while the module
        runs. V(0) switches them off.
      - They go to standard error, so that what reads the output of a callback is not disturbed. They are shown over the
        connections V(local) and V(ssh), with and without C(become); not with C(no_log), nor when the task has C(async).
      - What looks like a secret is masked in them, but a build that prints secrets prints them into Dokploy's own log.
    type: float
    default: 2
  progress_file:
    description:
      - A file on the host that runs the module, in which its progress and the newest lines of the log stand while it
        works. It is JSON, written anew twice a second and readable for its owner only. Whatever has this name is
        replaced, and removed at the end.
      - You need not set it. For the lines of O(progress_interval) the controller takes a name that nobody can guess.
    type: path
seealso:
  - module: vedfinance.platform.dokploy_rollback
  - module: vedfinance.platform.dokploy_service
  - module: vedfinance.platform.dokploy_info
  - module: vedfinance.platform.api_health
"""

EXAMPLES = r"""
- name: Deploy what is on the branch, and prove that the API serves this commit
  vedfinance.platform.dokploy_deploy:
    dokploy_url: http://127.0.0.1:3000
    dokploy_api_key: "{{ platform_dokploy_api_key }}"
    project: vedfinance
    environment: production
    application: api
    title: Release 1.4.0
    api_url: http://127.0.0.1:3001
    expect_commit: 6e149ee86aed0f8e4cf29d79b31eb6bbb28b3ee5
    unless_commit: 6e149ee86aed0f8e4cf29d79b31eb6bbb28b3ee5

- name: Wait for the deployment that a push has started
  vedfinance.platform.dokploy_deploy:
    dokploy_url: http://127.0.0.1:3000
    dokploy_api_key: "{{ platform_dokploy_api_key }}"
    project: vedfinance
    application: api
    method: watch
    commit: 6e149ee86aed0f8e4cf29d79b31eb6bbb28b3ee5

- name: Deploy another image; when it fails, the former one is stored again
  vedfinance.platform.dokploy_deploy:
    dokploy_url: http://127.0.0.1:3000
    dokploy_api_key: "{{ platform_dokploy_api_key }}"
    project: vedfinance
    application: api
    image: registry.example.com/vedfinance/api:1.4.0
    api_url: http://127.0.0.1:3001
    expect_version: 1.4.0

- name: What would be deployed, and behind what?
  vedfinance.platform.dokploy_deploy:
    dokploy_url: http://127.0.0.1:3000
    dokploy_api_key: "{{ platform_dokploy_api_key }}"
    project: vedfinance
    application: api
  check_mode: true
  diff: true
"""

RETURN = r"""
service:
  description: The application or compose service, as it was found.
  type: dict
  returned: when it was found
  sample:
    kind: application
    id: iKGxALnfjMm3lPX3CDY-e
    name: api
    app_name: shop-api-jmwfym
    project: shop
    environment: production
    status: done
    source_type: git
    image: null
    git_ref: main
    replicas: 2
method:
  description: What was done, as O(method) says.
  type: str
  returned: when the service was found
  sample: deploy
before:
  description:
    - The commit of the last deployment that was V(done), the images that ran, and the version that the application
      told, each null when it is not known.
    - RV(before.stored_image) or RV(before.stored_git_ref) is what Dokploy had stored, when O(image) or O(git_ref) is
      given.
  type: dict
  returned: when the service was found
  contains:
    commit:
      description: The commit.
      type: str
    image:
      description: The images.
      type: str
    version:
      description: The version.
      type: str
    stored_image:
      description: The image that Dokploy had stored.
      type: str
    stored_git_ref:
      description: The branch or tag that Dokploy had stored.
      type: str
  sample:
    commit: 9afab97141e86600947b82822410f3e0ff163288
    image: shop-api-jmwfym:latest
    version: 1.3.0
after:
  description: The same afterwards; in check mode, as far as it can be told before.
  type: dict
  returned: when the service was found
  sample:
    commit: 6e149ee86aed0f8e4cf29d79b31eb6bbb28b3ee5
    image: shop-api-jmwfym:latest
    version: 1.4.0
deployment:
  description: Dokploy's record of it, null when there is none yet.
  type: dict
  returned: when the service was found
  contains:
    id:
      description: The id of the record.
      type: str
    title:
      description: Its title; for a source that Dokploy builds, the message of the commit.
      type: str
    description:
      description: Its description.
      type: str
    status:
      description: V(running), V(done), V(error) or V(cancelled).
      type: str
    created_at:
      description: When the record was made.
      type: str
    started_at:
      description: When the build began.
      type: str
    finished_at:
      description: When the build ended.
      type: str
    error:
      description: Why the build could not be prepared.
      type: str
    rollback_id:
      description: What Dokploy's own rollback needs.
      type: str
    commit:
      description: The commit that was built.
      type: str
  sample:
    id: X1Quifq-NP5XyjW1NlzGh
    title: "feat: first git build"
    description: "Commit: 6e149ee86aed0f8e4cf29d79b31eb6bbb28b3ee5"
    status: done
    created_at: "2026-11-22T13:29:07.929Z"
    started_at: "2026-11-22T13:29:07.929Z"
    finished_at: "2026-11-22T13:29:11.087Z"
    error: null
    rollback_id: null
    commit: 6e149ee86aed0f8e4cf29d79b31eb6bbb28b3ee5
verdict:
  description: Whether the new version serves; null when it was not judged.
  type: dict
  returned: when the service was found
  contains:
    serving:
      description: Whether it does. What could not be proved is V(false).
      type: bool
    reasons:
      description: Why, or why not.
      type: list
      elements: str
    record:
      description: The record that was judged.
      type: dict
    tasks:
      description: The tasks or containers last seen, newest first; null when the key may not read Docker.
      type: list
      elements: dict
    images:
      description: The images that run; null when the key may not read Docker.
      type: list
      elements: str
    version:
      description: The version that the application told last, null when it was not asked.
      type: str
  sample:
    serving: true
    reasons: ["http://127.0.0.1:3001/api/version has confirmed it 11 times in a row"]
    record: {id: X1Quifq-NP5XyjW1NlzGh, status: done}
    tasks: [{id: 5pf4cxnyzj15bvrknww4120fl, name: shop-api-jmwfym.1, state: running}]
    images: ["shop-api-jmwfym:latest"]
    version: 1.4.0
ahead:
  description: What was in Dokploy's queue before it, of all services, oldest first. It builds one at a time.
  type: list
  elements: dict
  returned: when the service was found
  sample:
    - {id: job-8, title: other-app, type: deploy, state: active}
log_tail:
  description: The last lines of the build log, with secrets masked.
  type: list
  elements: str
  returned: when the service was found
  sample: ["Successfully tagged shop-api-jmwfym:latest", "✅ Docker build completed."]
failing_line:
  description: The line of the log that tells best why the build failed, null when it did not.
  type: str
  returned: when the service was found
  sample: "src/main.ts(12,5): error TS2322: Type 'string' is not assignable to type 'number'."
source_put_back:
  description: Whether O(image) or O(git_ref) was replaced by the former one, because the deployment failed.
  type: bool
  returned: when the service was found
  sample: false
sent:
  description: How often the deployment was sent; more than once when it was lost and O(resubmit) allowed it.
  type: int
  returned: when the service was found
  sample: 1
appeared:
  description: Whether the deployment was seen in Dokploy's queue or among its records.
  type: bool
  returned: when the service was found
  sample: true
seconds:
  description: How many seconds each phase took that was reached. The build is over when Dokploy has recorded its end.
  type: dict
  returned: when the service was found
  contains:
    queued:
      description: Until it began.
      type: float
    build:
      description: Until it was built, or failed.
      type: float
    rollout:
      description: Until the new version was proved to serve, or not.
      type: float
  sample: {queued: 1.1, build: 58.4, rollout: 14.7}
waited:
  description: How many seconds it took.
  type: float
  returned: when the service was found
  sample: 74.2
candidates:
  description: The services, environments or projects that bear the name that was given, or the deployments of which
    one is this.
  type: list
  elements: dict
  returned: when it cannot be told which is meant
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
from ansible_collections.vedfinance.platform.plugins.module_utils._dokploy.deploy import DEPLOY_ARGUMENTS, deploy
from ansible_collections.vedfinance.platform.plugins.module_utils._guard import guard, require_library
from ansible_collections.vedfinance.platform.plugins.module_utils._hangup import ended_with_the_play
from ansible_collections.vedfinance.platform.plugins.module_utils._http import (
    HAS_REQUESTS,
    REQUESTS_IMPORT_ERROR,
    RequestsTransport,
)
from ansible_collections.vedfinance.platform.plugins.module_utils._progress import Progress


def main() -> None:
    module = AnsibleModule(
        argument_spec={**DOKPLOY_ARGUMENTS, **APPLICATION_ARGUMENTS, **COMPOSE_ARGUMENTS, **DEPLOY_ARGUMENTS},
        mutually_exclusive=[(one, other) for one in APPLICATION_ARGUMENTS for other in COMPOSE_ARGUMENTS],
        supports_check_mode=True,
    )
    require_library(module, "requests", HAS_REQUESTS, REQUESTS_IMPORT_ERROR)
    params = module.params
    with guard(module):
        clock = SystemClock()
        client = client_from(params, clock)
        transport = RequestsTransport(params["validate_certs"], params["ca_path"])
        with ended_with_the_play(), Progress(params["progress_file"]) as progress:
            outcome = deploy(client, clock, transport, query_from(params), params, module.check_mode, progress)
        for warning in outcome.warnings:
            module.warn(warning)
        module.exit_json(
            changed=outcome.changed, diff={"before": outcome.before, "after": outcome.after}, **outcome.to_result()
        )


if __name__ == "__main__":
    main()
