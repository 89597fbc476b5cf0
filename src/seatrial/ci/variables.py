"""Reading CI variables: empty means unset, and what is absent or garbled is said by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from seatrial.errors import UsageError

Env = Mapping[str, str]

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_NO_COMMIT = re.compile(r"0+")


def require(env: Env, name: str) -> str:
    """A variable that this system always sets."""
    value = env.get(name, "")
    if not value:
        raise UsageError(
            f"the CI variable {name} is not set, although this looks like a CI job",
            hint=f"Pass {name} on to what runs seatrial, or run `seatrial compare` instead.",
        )
    return value


def require_number(env: Env, name: str) -> int:
    """A variable that is a whole number, zero or more."""
    value = require(env, name)
    if not (value.isascii() and value.isdigit()):
        raise UsageError(f"the CI variable {name} is {value!r}, not a number", hint="Is it overridden in the job?")
    return int(value)


def read_commit(env: Env, name: str) -> str | None:
    """A variable that is a commit; None where it is empty or git's row of zeros for "no commit"."""
    value = env.get(name, "")
    if not value or _NO_COMMIT.fullmatch(value):
        return None
    if not _COMMIT.fullmatch(value):
        raise UsageError(f"the CI variable {name} is {value!r}, not a commit", hint="Is it overridden in the job?")
    return value


def require_commit(env: Env, name: str) -> str:
    """A variable that this system always sets to a commit."""
    require(env, name)
    commit = read_commit(env, name)
    if commit is None:
        raise UsageError(f"the CI variable {name} is no commit: all zeros", hint="Is it overridden in the job?")
    return commit


def read_path(env: Env, name: str) -> Path | None:
    """A variable that names a file to write to."""
    value = env.get(name, "")
    return Path(value) if value else None


def read_ca_file(env: Env, *names: str) -> str | None:
    """The first of these variables that names a certificate bundle which exists."""
    paths = (env.get(name, "") for name in names)
    return next((path for path in paths if path and Path(path).is_file()), None)


def read_token(env: Env, *names: str) -> tuple[str | None, str]:
    """The first token among these variables, and its variable; else None, and the variable to set."""
    for name in names:
        if token := env.get(name, "").strip():
            return token, name
    return None, names[0]


def spell_dotenv(outputs: Env) -> str:
    """Outputs as a dotenv file: `exit-code` becomes `SEATRIAL_EXIT_CODE`, each value one line."""
    return "".join(f"SEATRIAL_{_to_variable(name)}={' '.join(value.split())}\n" for name, value in outputs.items())


def _to_variable(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "_", name.upper())
