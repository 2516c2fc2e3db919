#!/bin/sh
# Makes .venv ready: `sh tools/setup.sh runtime` for `make demo`, `sh tools/setup.sh dev` for everything else.
#
# .venv/.ready is removed before .venv is touched and written when all is done, so a .venv without it is half made and
# is built again. It says what was installed and from what: runtime or dev, the locks, pyproject.toml, the directory
# (a venv cannot be moved) and the interpreter. While it still holds, this script ends at once.
#
# pip fetches only uv, pinned and hashed like the rest, and uv installs the others in half of pip's time. Where uv
# cannot (it does not read pip's settings for mirrors and certificates), pip installs them instead.

set -eu
cd "$(dirname "$0")/.."
root=$(pwd -P)
want=${1:?runtime or dev}
case $want in
    runtime) lock=requirements.lock ;;
    dev) lock=requirements-dev.lock ;;
    *) echo "usage: tools/setup.sh runtime|dev" >&2; exit 2 ;;
esac

die() { # the first argument says what is wrong, the others what to do next
    printf '\nSetup failed: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '  %s\n' "$line" >&2; done
    exit 1
}

# --- The interpreter ---------------------------------------------------------------------------------------------

# Exit status 3: too old. 4: cannot make a venv. Inside another venv the interpreter it was made from is the one meant.
probe='
import sys
if sys.version_info < (3, 11):
    sys.exit(3)
try:
    import ensurepip, venv
except ImportError:
    sys.exit(4)
print(getattr(sys, "_base_executable", None) or sys.executable)'

python=          # an interpreter that will do
without_venv=    # one that would, but for venv
try_python() {
    answer=$("$1" -I -c "$probe" 2>/dev/null) && status=0 || status=$?
    case $status in
        0) python=$answer ;;
        4) without_venv=${without_venv:-$1} ;;
    esac
    [ -n "$python" ]
}

search_path() {
    for name in python3.14 python3.13 python3.12 python3.11 python3; do
        IFS=:
        for directory in $PATH; do
            unset IFS
            if [ "$directory" != "$root/.venv/bin" ] && [ -x "$directory/$name" ] && try_python "$directory/$name"; then
                return
            fi
        done
        unset IFS
    done
}

find_python() {
    if [ -n "${PYTHON-}" ]; then try_python "$PYTHON" || :; else search_path; fi
    [ -z "$python" ] || return 0
    if [ -n "$without_venv" ]; then
        version=$("$without_venv" -I -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        die "$without_venv (Python $version) lacks the modules venv and ensurepip." \
            "Debian, Ubuntu: apt-get install python3-venv (or python$version-venv), as root; then run the same command again."
    elif [ -n "${PYTHON-}" ]; then
        die "PYTHON=$PYTHON is not a Python 3.11 or newer." "Name another interpreter, or leave PYTHON out."
    fi
    die "no Python 3.11 or newer on the PATH." \
        "Install one (Debian 12, Ubuntu 24.04: apt-get install python3 python3-venv; macOS: brew install python)," \
        "or name one that is elsewhere: make PYTHON=/path/to/python3.12 …"
}

# --- What .venv holds --------------------------------------------------------------------------------------------

locks=$(cat requirements.lock requirements-dev.lock | cksum)
project=$(cksum <pyproject.toml)

# Sets `installed` to runtime, dev or (when .venv must be built anew) nothing, and `installed_project`.
look() {
    installed='' installed_project=''
    [ -f .venv/.ready ] && .venv/bin/python -I -c 'import pip' 2>/dev/null || return 0
    {
        read -r was_installed && read -r was_locks && read -r was_project && read -r was_root && read -r was_python
    } <.venv/.ready || return 0
    [ "$was_locks" = "$locks" ] && [ "$was_root" = "$root" ] || return 0
    if [ -n "${PYTHON-}" ]; then
        [ -n "$python" ] || find_python
        [ "$python" = "$was_python" ] || return 0
    else
        python=$was_python
    fi
    installed=$was_installed installed_project=$was_project
}

has_packages() { [ "$installed" = dev ] || [ "$installed" = "$want" ]; }

look
if has_packages && [ "$installed_project" = "$project" ]; then exit 0; fi

# --- Building it -------------------------------------------------------------------------------------------------

case $(uname -s) in
    Linux | Darwin) ;;
    *) die "$(uname -s) is not supported: the embedded PostgreSQL and Valkey need Linux or macOS." "On Windows, use WSL." ;;
esac
[ -n "$python" ] || find_python
if ! [ -w . ] || { [ -e .venv ] && ! [ -w .venv ]; }; then
    die "$(id -un) may not write to $root/.venv." "Remove .venv as its owner, or use a copy of the project that is your own."
fi

# One setup at a time in one directory: start again under a lock, held until this process ends.
if [ "${SETUP_LOCKED-}" != "$root" ]; then
    export SETUP_LOCKED="$root"
    exec "$python" -I -c '
import fcntl, os, sys
lock = os.open("tools/setup.sh", os.O_RDONLY)
os.set_inheritable(lock, True)
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("Another setup is at work in this directory; waiting for it …", flush=True)
    fcntl.flock(lock, fcntl.LOCK_EX)
except OSError:
    pass  # a file system without locks
os.execvp("sh", ["sh", "tools/setup.sh", sys.argv[1]])' "$want"
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT
trap 'exit 143' HUP TERM
quietly() { "$@" >"$log" 2>&1; }
told() { grep -Eq "$1" "$log"; }

# Shows what the last command said, and ends with what it means.
explain() {
    grep -v 'is ignored: it is neither a file nor a directory' "$log" >&2 || :
    if told 'No space left on device'; then
        die "the disk is full." "An installation takes about 350 MB here and in the directory for temporary files; make room, try again."
    elif told 'DO NOT MATCH THE HASHES|[Hh]ash mismatch'; then
        die "a downloaded package is not the one in $lock." "Try again; if it stays so, the package registry or a proxy alters files."
    elif told 'Retrying \(|Connection(Error| broken)|Could not fetch URL|Max retries|[Tt]imed out|HTTP error|ProxyError|SSLError|CERTIFICATE'; then
        die "the Python package registry cannot be reached." \
            "Check the network, then run the same command again. Behind a proxy, set HTTPS_PROXY; with a mirror or a" \
            "certificate of your own, set PIP_INDEX_URL or PIP_CERT, or write them to pip's configuration."
    elif told 'No matching distribution found'; then
        package=$(sed -n 's/.*No matching distribution found for \([^ ]*\).*/\1/p' "$log" | tail -n 1)
        die "$package has no wheel for Python $("$python" -I -c 'import platform as p; print(p.python_version(), p.platform(), sep=" on ")')." \
            "Supported: CPython 3.11 to 3.15 on Linux x86_64 or aarch64 (glibc 2.28 or newer, not musl) and macOS on Apple silicon." \
            "Another interpreter: make PYTHON=/path/to/python3.12 …"
    fi
    die "$1" "What it said is above."
}

export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_USER=0
pip_install() { quietly .venv/bin/python -I -m pip install --quiet --retries 2 --no-deps "$@"; }
uv_install() { quietly .venv/bin/uv pip install --quiet --python .venv/bin/python --compile-bytecode --no-deps "$@"; }
locked() { "$1" --require-hashes --only-binary :all: -r "$2"; }

started=$(date +%s)
rm -f .venv/.ready

if [ -z "$installed" ]; then
    rm -rf .venv || die "the old .venv cannot be removed." "Remove it as its owner, then run the same command again."
fi
if ! has_packages; then
    count=$(grep '^[a-z].*==' "$lock" | grep -vc "== 'win32'")
    echo "Installing $count packages into .venv (once, about half a minute) …"
fi
if [ -z "$installed" ]; then
    quietly "$python" -I -m venv .venv || explain "$python could not make .venv."
    awk '/^[^ ]/ { mine = /^uv==/ } mine' "$lock" >.venv/uv.txt
    locked pip_install .venv/uv.txt || explain "pip could not install uv."
fi
if ! has_packages; then
    locked uv_install "$lock" || locked pip_install "$lock" || explain "pip could not install the packages of $lock."
    installed=$want
    installed_project=
fi
if [ "$installed_project" != "$project" ]; then
    uv_install --no-build-isolation -e . || pip_install --no-build-isolation -e . || explain "the project itself could not be installed."
fi

printf '%s\n' "$installed" "$locks" "$project" "$root" "$python" >.venv/.new
mv .venv/.new .venv/.ready
echo "Ready after $(($(date +%s) - started)) s."
