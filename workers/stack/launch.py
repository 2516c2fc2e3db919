"""Run a command as another account, tied to the life of the process that asked for it.

A script, run by `process.spawn` and never imported. It stands in for Popen's `preexec_fn`, which can deadlock in a program
with threads and is deprecated there. Arguments: parent pid, death signal (0 for none), uid, gid (-1 to keep both), command.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    parent, death_signal, uid, gid = (int(number) for number in arguments[:4])
    command = arguments[4:]
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    # After the change of account: the kernel forgets the death signal when credentials change.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:  # it died before the signal was set, so the signal will never come
        sys.exit(1)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])  # what the parent blocks must still stop the child
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
