# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of Sphinx for the documentation site; `make docs` builds it."""

from __future__ import annotations

from typing import Any

from docutils import nodes

project = title = html_title = html_short_title = "vedfinance.platform"
copyright = "The V-EdFinance platform team, GPL-3.0-or-later"  # noqa: A001 - Sphinx looks for this name

extensions = ["myst_parser", "sphinx_antsibull_ext"]
myst_heading_anchors = 4
# Of headings as a git host makes them, so that a link works in both.
myst_links_external_new_tab = False
nitpicky = True
pygments_style = "ansible"
highlight_language = "text"
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_use_index = False

_ANSIBLE = "https://docs.ansible.com/projects/ansible/latest"
#: What pages of modules refer to in Ansible's own documentation. No inventory of it is fetched.
_CHAPTERS = {
    "action_plugins": "plugins/action.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "common_return_values": "reference_appendices/common_return_values.html",
}


def lead_to_ansible(_app: Any, _env: Any, node: Any, content: nodes.Element) -> nodes.Element | None:
    """A link for a reference to what is not in this site but in Ansible's."""
    label = str(node["reftarget"])
    page = _CHAPTERS.get(label)
    if label.startswith("ansible_collections.") and not label.startswith("ansible_collections.vedfinance."):
        page = "/".join(["collections", *label.split(".", 3)[1:]]) + ".html"
    return nodes.reference("", "", content, refuri=f"{_ANSIBLE}/{page}", internal=False) if page else None


def setup(app: Any) -> None:
    app.connect("missing-reference", lead_to_ansible)
