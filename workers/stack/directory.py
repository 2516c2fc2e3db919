"""The data directory: its owner, its parts, its lock."""

import fcntl
import os
import pwd
import stat
import sys
from pathlib import Path

import platformdirs

from workers.stack.process import Account, StackError

PARTS = ("redis", "run", "log")
OURS = frozenset({"pg", *PARTS, "keys", "lock"})
LONGEST_SOCKET_PATH = 107 if sys.platform == "linux" else 103
POSTGRES_SOCKET = ".s.PGSQL.5432"


def default_data_dir() -> Path:
    """Give the place used without `--data`: /var/lib/ops-approval for root, else the user's own data directory."""
    return Path("/var/lib/ops-approval") if os.geteuid() == 0 else platformdirs.user_data_path("ops-approval")


def prepare(data_dir: Path) -> Account | None:
    """Make the data directory and its parts, and return the account the servers run as, None for our own.

    Never changes the owner or mode of what someone else made. Raises StackError.
    """
    _check_name(data_dir)
    try:
        _make(data_dir)
        account = _account(data_dir) if os.geteuid() == 0 else None
        _open_to(account, data_dir)
        for name in PARTS:
            _make_part(data_dir / name, account)
        if os.path.lexists(data_dir / "pg"):
            _check_owner(data_dir / "pg", account)
    except OSError as error:
        raise StackError(
            f"The data directory {data_dir} cannot be prepared: {error}. Choose another one with --data."
        ) from error
    return account


def lock(data_dir: Path) -> int:
    """Take the data directory for this process; returns the file descriptor whose closing gives it back.

    Raises StackError when another process has it.
    """
    descriptor = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StackError(
            f"Another process already runs the servers in {data_dir}. Stop it first, or choose another directory with "
            f"--data."
        ) from None
    return descriptor


def open_log(path: Path, account: Account | None) -> int:
    """Open a server's log for appending; returns a file descriptor."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    if account:
        os.fchown(descriptor, account.uid, account.gid)
    return descriptor


def _check_name(data_dir: Path) -> None:
    if len(os.fsencode(data_dir / "run" / POSTGRES_SOCKET)) > LONGEST_SOCKET_PATH:
        raise StackError(
            f"The path {data_dir} is too long for the unix sockets inside it. Choose a shorter one with --data, at most "
            f"{LONGEST_SOCKET_PATH - len(f'/run/{POSTGRES_SOCKET}')} bytes."
        )
    if "," in str(data_dir):
        raise StackError(
            f"The path {data_dir} has a comma, which PostgreSQL reads as two paths. Choose one without with --data."
        )


def _make(data_dir: Path) -> None:
    for directory in reversed([data_dir, *data_dir.parents]):
        if not directory.exists():
            directory.mkdir(exist_ok=True)
            directory.chmod(0o711 if os.geteuid() == 0 else 0o700)  # whatever the umask says
    owner = data_dir.stat().st_uid
    if owner != os.geteuid():
        raise StackError(
            f"The data directory {data_dir} belongs to {_name(owner)}. Run as that user, or choose another one with --data."
        )


def _account(data_dir: Path) -> Account:
    # The owner of the data stays the same when the system gets or loses a `postgres` account.
    for part in (data_dir / "pg", data_dir / "run"):
        if part.is_dir() and (status := part.lstat()).st_uid != 0:
            return Account(_name(status.st_uid), status.st_uid, status.st_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise StackError(
        "PostgreSQL refuses to run as root and this system has neither a `postgres` nor a `nobody` account. Run as an "
        "ordinary user, or add one of these accounts."
    )


def _open_to(account: Account | None, data_dir: Path) -> None:
    """Let the account reach the parts; only a directory that holds nothing of others gets another mode."""
    if account is None:
        return
    foreign = [entry.name for entry in data_dir.iterdir() if entry.name not in OURS and not _unfinished(entry.name)]
    if not foreign and not _reaches(account, data_dir):
        data_dir.chmod(0o711)
    for directory in (data_dir, *data_dir.parents):
        if not _reaches(account, directory):
            raise StackError(
                f"The servers run as {account.name}, who cannot enter {directory}. Choose a directory that others can "
                "reach, for example with --data /var/lib/ops-approval."
            )


def _unfinished(name: str) -> bool:
    return name.startswith("pg.init-")


def _reaches(account: Account, directory: Path) -> bool:
    status = directory.stat()
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def _make_part(path: Path, account: Account | None) -> None:
    path.mkdir(mode=0o700, exist_ok=True)
    # Ours and empty: new, or left by a start that was killed right here.
    if account and path.lstat().st_uid == 0 and not any(path.iterdir()):
        os.chown(path, account.uid, account.gid, follow_symlinks=False)
    _check_owner(path, account)


def _check_owner(path: Path, account: Account | None) -> None:
    status = path.lstat()
    uid, name = (account.uid, account.name) if account else (os.geteuid(), "you")
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != uid:
        raise StackError(f"{path} is not a directory owned by {name}. Choose another data directory with --data.")


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
