# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module says about check mode, diff mode, repetition and its action group."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff
      mode.
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
      - This assumes that the system controlled or queried by the module has not changed in a relevant way.
"""

    # Used together with the standard fragment.
    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module reads only. It really runs in check mode.
  diff_mode:
    support: N/A
    details:
      - This module reads only.
  idempotent:
    support: full
    details:
      - This module reads only.
"""

    ACTIONGROUP_DOKPLOY = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/vedfinance.platform.dokploy) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - vedfinance.platform.dokploy
"""

    ACTIONGROUP_PAGES = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/vedfinance.platform.pages) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - vedfinance.platform.pages
"""

    ACTIONGROUP_POSTGRESQL = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/vedfinance.platform.postgresql) in C(module_defaults) to set defaults for this module.
    support: full
    membership:
      - vedfinance.platform.postgresql
"""
