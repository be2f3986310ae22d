# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules for git share."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
requirements:
  - git 2.34 or newer, on the host that has the checkout
options:
  checkout:
    description:
      - The folder of a clone, or a folder inside it, on the host that runs the task.
      - git trusts a checkout only when it belongs to the user that runs the task.
    type: path
    required: true
  remote:
    description:
      - The name of the remote. Its address and credentials are those that git knows there; git may not ask for any.
    type: str
    default: origin
  timeout:
    description:
      - After how many seconds a single git command is ended, with all that it has started.
    type: float
    default: 300
"""

    HOOKS = r"""
options:
  hooks:
    description:
      - Whether a C(pre-push) hook of the checkout runs when something is pushed, as it does by hand. It runs in the
        checkout, so it sees the files that are there, and it may refuse.
    type: bool
    default: true
"""

    COMMITTER = r"""
options:
  author_name:
    description:
      - Who makes the commit. By default C(user.name) of git's configuration; git is not let guess.
    type: str
  author_email:
    description:
      - The address of who makes the commit. By default C(user.email) of git's configuration.
    type: str
  sign:
    description:
      - Whether the commit is signed. V(auto) does as C(commit.gpgSign) of git's configuration says.
      - Nobody is asked for a passphrase; an agent must hold the key.
    type: str
    choices: [auto, always, never]
    default: auto
"""
