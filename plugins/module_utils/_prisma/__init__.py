# SPDX-License-Identifier: GPL-3.0-or-later
"""Prisma's migrations: the files, the table in the database, and what stands between the two."""
