# SPDX-License-Identifier: GPL-3.0-or-later
"""For whom a dump is encrypted. Public keys only: whoever takes the machine can read no dump of before."""

from __future__ import annotations

from dataclasses import dataclass

from ..._errors import PlatformError
from .command import program


@dataclass(frozen=True)
class Recipients:
    """Those of age, or those of gpg.

    :param gpg_home: the folder of the keyring with the public keys.
    """

    age: tuple[str, ...] = ()
    gpg: tuple[str, ...] = ()
    gpg_home: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return self.age or self.gpg

    @property
    def layers(self) -> list[str]:
        """What is wrapped around the dump."""
        return ["age"] if self.age else ["gpg"] if self.gpg else []

    @property
    def command(self) -> list[str]:
        """Encrypts a stream."""
        if self.age:
            return [program("age", "age_recipients"), *(word for key in self.age for word in ("--recipient", key))]
        home = ["--homedir", self.gpg_home] if self.gpg_home else []
        keys = [f"--recipient={key}" for key in self.gpg]
        return [program("gpg", "gpg_recipients"), "--batch", "--no-tty", "--quiet", *home, "--trust-model=always",
                "--compress-algo=none", *keys, "--encrypt"]  # fmt: skip

    def require(self, dump_format: str) -> None:
        """Can it be done at all?"""
        if self.age and self.gpg:
            raise PlatformError("There are recipients of age and of gpg.", "Choose one of the two tools.")
        for key in self.names:
            # It must not even come into the list of processes.
            if "SECRET" in key.upper() or "PRIVATE" in key.upper():
                raise PlatformError(
                    "A recipient is a secret key.", "Give the public key that belongs to it: age-keygen -y."
                )
            if not key or key.startswith("-"):
                raise PlatformError(
                    f"A recipient is {key!r}, which is no key.", "Give an age public key, or a gpg key id."
                )
        if not self.layers:
            return
        if dump_format == "directory":
            raise PlatformError(
                "A dump in directory format is a folder and cannot be encrypted as one stream.", "Use format: custom."
            )
        program(self.layers[0], f"{self.layers[0]}_recipients")
