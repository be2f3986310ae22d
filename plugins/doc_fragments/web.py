# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of every module that speaks HTTP; their specification is HTTP_ARGUMENTS in module_utils/_http.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  request_timeout:
    description:
      - How many seconds one HTTP request may take, from connecting to the last byte of the answer.
    type: float
    default: 10
  validate_certs:
    description:
      - Whether the certificate of an V(https) URL must be valid. Set this to V(false) only for a test system of your
        own.
    type: bool
    default: true
  ca_path:
    description:
      - A PEM file on the host that runs the module, with the certificate authorities to trust in place of the usual
        ones.
    type: path
  allow_plain_http:
    description:
      - Whether secrets may travel over plain HTTP to an address that is not loopback.
      - Whoever sits between the two machines can then read and reuse them. The better ways are to run the module on
        the server itself with a V(http://127.0.0.1) URL, an SSH tunnel, or HTTPS.
    type: bool
    default: false
requirements:
  - requests (Python library) on the host that runs the module
notes:
  - Proxies and credentials of the environment (E(HTTP_PROXY), C(.netrc)) are not used, so that nothing answers in the
    place of the server.
  - Redirects are not followed, so that no header travels to a host that you did not name.
"""

    # What is expected of an answer; its specification is EXPECT_ARGUMENT in module_utils/_health.py.
    EXPECT = r"""
options:
  expect:
    description:
      - What an answer of the API must be in order to pass.
      - Conditions need a JSON body. A condition that cannot be judged, because the body is not JSON or has nothing at
        its path, does not pass; this holds for O(expect.none) too.
    type: dict
    suboptions:
      status:
        description: The accepted statuses.
        type: list
        elements: int
        default: [200]
      all:
        description: Conditions that must all be true. If a path leads to several values, it must be true of each of
          them.
        type: list
        elements: dict
        suboptions: &condition
          path:
            description:
              - The way to the value in the JSON body, as V(checks.database.status), V(items[0].id) or V(*.status).
              - V(*) stands for every key of an object, V([*]) for every item of a list; where a branch ends early, it
                is left out.
            type: str
            required: true
          equals:
            description:
              - The value is this. A number or a truth value also equals its text.
              - For a null, use C(in) with a list that contains it.
            type: raw
          not_equals:
            description: The value is not this.
            type: raw
          in:
            description: The value is one of these.
            type: list
            elements: raw
          not_in:
            description: The value is none of these.
            type: list
            elements: raw
          matches:
            description: A regular expression is found in the value.
            type: str
          exists:
            description: Whether there is a value at all.
            type: bool
          gte:
            description: The value is a number, and at least this.
            type: float
          lte:
            description: The value is a number, and at most this.
            type: float
      any:
        description: Conditions of which one must be true. If a path leads to several values, it must be true of one
          of them.
        type: list
        elements: dict
        suboptions: *condition
      none:
        description: Conditions of which none may be true, of any value that their paths lead to.
        type: list
        elements: dict
        suboptions: *condition
      version:
        description: The version that must be served.
        type: str
      version_path:
        description: Where the body tells the version.
        type: str
        default: version
      commit:
        description: The commit that must be served. Either of the two may be abbreviated to at least 7 characters.
        type: str
      commit_path:
        description: Where the body tells the commit.
        type: str
        default: commit
"""
