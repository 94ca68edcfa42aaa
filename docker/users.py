"""Airflow's users: one for each role, named after it, with the password that is in its file; there are no others.

The files are `USERS_FOLDER/ROLE_password`. A role without a file gets no user.
"""

import os
import sys
from pathlib import Path

from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

ROLES = ("Admin", "Op", "Viewer")
SHORTEST = 12


def password(role: str, folder: Path) -> str | None:
    """The password of a role's user; None where there is no file for it. Ends the program where it is too short."""
    file = folder / f"{role.lower()}_password"
    if not file.is_file():
        return None
    found = file.read_text("utf-8").strip()
    if len(found) < SHORTEST:
        sys.exit(f"{file.name}: {len(found)} characters; expected {SHORTEST} or more")
    return found


def main(folder: Path) -> None:
    passwords = {role: password(role, folder) for role in ROLES}
    with get_application_builder() as builder:
        manager = builder.sm
        for role, secret in passwords.items():
            name = role.lower()
            user = manager.find_user(username=name)
            if secret is None:
                print(f"{name}: no {name}_password in {folder}; no user is made")
            elif user:
                manager.reset_password(user.id, secret)
            elif not manager.add_user(name, name, "nightweave", f"{name}@localhost", manager.find_role(role), secret):
                sys.exit(f"{name}: the user could not be made; Airflow's log says why")


if __name__ == "__main__":
    main(Path(os.environ["USERS_FOLDER"]))
