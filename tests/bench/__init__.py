# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast a restore is, beside the commands that one would use otherwise."""
