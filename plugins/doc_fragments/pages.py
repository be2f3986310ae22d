# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of the Cloudflare Pages modules; their specification is module_utils/_pages/argspec.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  api_url:
    description:
      - The base address of Cloudflare's API.
    type: str
    default: https://api.cloudflare.com/client/v4
  account_id:
    description:
      - The id of the account that the project is in, 32 hexadecimal digits, as in the address of the dashboard.
      - When not given, the environment variable E(CLOUDFLARE_ACCOUNT_ID) on the host that runs the module is used.
    type: str
    required: true
  api_token:
    description:
      - An API token of Cloudflare with the permission C(Account > Cloudflare Pages > Edit) for this account. To read,
        and for check mode, C(Read) suffices.
      - When not given, the environment variable E(CLOUDFLARE_API_TOKEN) on the host that runs the module is used.
    type: str
    required: true
  project:
    description:
      - The name of the Pages project, as in the dashboard under Workers & Pages.
    type: str
    required: true
  request_timeout:
    description:
      - How many seconds one HTTP request may take, from connecting to the last byte of the answer.
    type: float
    default: 30
"""
