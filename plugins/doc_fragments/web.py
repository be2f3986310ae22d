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
