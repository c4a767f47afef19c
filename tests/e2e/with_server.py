#!/usr/bin/python3
"""Runs a command beside a convserve server.

    with_server.py [--unix] SERVER COMMAND...

Starts SERVER on a free loopback port (or a unix socket), waits until it serves, and runs COMMAND with its address in
CONVSERVE_ADDRESS. Exits with COMMAND's exit code, or 1 when the server did not start, or did not end with exit code 0
after SIGTERM; then the server's log is printed.
"""

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading


class ServerError(Exception):
    pass


@contextlib.contextmanager
def server(binary, unix=False, seconds=60):
    """Yields the address of a server that serves; stops it at the end."""
    folder = tempfile.mkdtemp(prefix="convserve-")
    address = "unix:%s/socket" % folder if unix else "127.0.0.1:0"
    process = subprocess.Popen([binary, "--listen", address, "--drain-wait", "0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               universal_newlines=True)
    log, found, listening = [], [], threading.Event()

    def follow():
        for line in process.stdout:
            log.append(line)
            match = re.match(r"listening on (\S+)$", line)
            if match:
                found.append(match.group(1))
                listening.set()
        listening.set()

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    try:
        if not listening.wait(seconds) or not found:
            raise ServerError("the server does not serve:\n" + "".join(log))
        yield found[0]
        process.send_signal(signal.SIGTERM)
        code = process.wait(seconds)
        follower.join(seconds)
        if code != 0:
            raise ServerError("the server ended with %d:\n%s" % (code, "".join(log)))
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unix", action="store_true")
    parser.add_argument("server")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    try:
        with server(arguments.server, arguments.unix) as address:
            environment = dict(os.environ, CONVSERVE_ADDRESS=address)
            code = subprocess.call(arguments.command, env=environment)
    except ServerError as error:
        print("with_server: %s" % error, file=sys.stderr)
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
