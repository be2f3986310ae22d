# SPDX-License-Identifier: GPL-3.0-or-later
"""A double of Dokploy v0.30.2: it answers as the captured real one does, and its swarm tasks are real processes."""
