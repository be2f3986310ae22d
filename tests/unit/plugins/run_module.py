# SPDX-License-Identifier: GPL-3.0-or-later
"""A module's main() in this process, with arguments in and the result out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
from ansible.module_utils.testing import patch_module_args


def run_main(
    main: Callable[[], None], capsys: pytest.CaptureFixture[str], arguments: dict[str, Any], check: bool = False
) -> dict[str, Any]:
    given = {name: value for name, value in arguments.items() if value is not None}
    with (
        # Whatever imported Ansible's controller before, here a module runs: it returns its warnings, and prints none.
        patch("ansible.module_utils._internal.is_controller", False),
        # In a process of its own, a module does not return the warnings of the one before.
        patch("ansible.module_utils.common.warnings._global_warnings", {}),
        patch_module_args({**given, "_ansible_check_mode": check}),
        pytest.raises(SystemExit),
    ):
        main()
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return printed
