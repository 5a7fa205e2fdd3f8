"""What of this machine's setup a bare root needs to reach the same package registries: no registry is named here."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

# A package registry may only be reached with these; nothing else of our environment goes in.
HANDED_ON = re.compile(r"PIP_\w+|(https?|no|all)_proxy|SSL_CERT_FILE|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE", re.IGNORECASE)
APT_OPTIONS = re.compile(r"^Acquire::(https?|Check-|Retries)", re.MULTILINE)


class Unable(Exception):
    """Why the proof cannot be made on this machine, as one line."""


def output_of(*command: str, env: dict[str, str] | None = None) -> str:
    """What `command` prints; Unable when it fails."""
    try:
        return subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unable(f"{command[0]}: {error}") from None


def mirror() -> str:
    """Where this machine's apt gets Debian from; STRANGERS_MIRROR where this is not Debian."""
    if named := os.environ.get("STRANGERS_MIRROR"):
        return named
    release = Path("/etc/os-release").read_text()
    codename = re.search(r"^VERSION_CODENAME=(\w+)$", release, re.MULTILINE)
    if re.search(r"^ID=debian$", release, re.MULTILINE) and codename:
        for line in output_of("apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)").splitlines():
            suite, _, uri = line.partition(" ")
            if suite == codename[1]:
                return uri
    raise Unable("this is not Debian, so there is no mirror to copy; set STRANGERS_MIRROR to one")


def apt_options() -> str:
    """How this machine's apt asks, as the text of a file in apt.conf.d."""
    lines = output_of("apt-config", "dump").splitlines(keepends=True)
    return "".join(line for line in lines if APT_OPTIONS.match(line))


def environment() -> dict[str, str]:
    """The variables that pip and its like need."""
    return {name: value for name, value in os.environ.items() if HANDED_ON.fullmatch(name)}


def pip_settings() -> dict[str, dict[str, str]]:
    """What pip's configuration files say here, by section: ours alone, which a user inside could not read."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    found: dict[str, dict[str, str]] = {}
    for line in output_of(sys.executable, "-m", "pip", "config", "list", env=clean).splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.partition(".")
        found.setdefault(section, {})[key] = str(ast.literal_eval(value))
    return found


def pip_conf(settings: dict[str, dict[str, str]]) -> str:
    """The same as one configuration file."""
    lines = []
    for section, values in settings.items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {' '.join(value.split())}" for key, value in values.items()]
    return "\n".join([*lines, ""])


def named_paths(*texts: str) -> list[str]:
    """The files and folders of this machine that settings name, which must be seen inside, too.

    The pages of an index on disk name files that lie beside it, so its parent folder is meant.
    """
    text = "\n".join(f" {text}" for text in texts)
    folders = {str(Path(path).parent) for path in re.findall(r"file://(/[^\s\"';]+)", text)}
    paths = folders | {path.rstrip("/") for path in re.findall(r"[\s\"'](/[^\s\"';]+)", text)}
    return sorted(path for path in paths if len(Path(path).parts) > 2 and os.path.exists(path))
