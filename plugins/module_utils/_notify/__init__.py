# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Telling people: what happened (events), whom it concerns (contacts), how it reads (message), how it gets there."""
