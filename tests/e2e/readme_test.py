#!/usr/bin/python3
"""Runs the snippets of README.md.

    readme_test.py BIN_DIR PYTHON_DIR NODE_DIR      with the server's address in CONVSERVE_ADDRESS

A code block whose fence says `sh test`, `python test` or `js test` is run, in a folder that looks like the root of the
tree, with the server's address in place of the default one. The block after it is the expected output of both streams;
`...` in it stands for any text, within a line or, alone on a line, for any lines. A block whose fence names a file must
be that file's text, without its leading comment. A picture that the README shows and a snippet writes must be the same file.
"""

import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEFAULT_ADDRESS = "127.0.0.1:50051"


def blocks(text):
    """(line number, fence info, body) of every fenced block."""
    for match in re.finditer(r"^```(.*)\n((?:.*\n)*?)```$", text, re.MULTILINE):
        yield text.count("\n", 0, match.start()) + 1, match.group(1), match.group(2)


def pattern(expected):
    parts = []
    for line in expected.splitlines():
        if line == "...":
            parts.append(r"(?:.*\n)*?")
        else:
            parts.append(".*".join(re.escape(piece) for piece in line.split("...")) + r"\n")
    return re.compile("".join(parts))


def file_text(path):
    with open(os.path.join(ROOT, path)) as source:
        comment = "//" if path.endswith(".cc") else "#"
        return re.sub(r"\A(?:%s.*\n)+" % comment, "", source.read())


def main():
    bin_dir, python_dir, node_dir = sys.argv[1:]
    address = os.environ["CONVSERVE_ADDRESS"]
    modules = os.path.join(node_dir, "node_modules")
    environment = dict(
        os.environ, CONVSERVE_SERVER=address, PYTHONPATH=python_dir, NODE_PATH=modules,
        PATH=os.pathsep.join([bin_dir, os.path.join(modules, ".bin"), os.environ["PATH"]]))
    interpreters = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"], "js": ["node", "-e"]}

    with open(os.path.join(ROOT, "README.md")) as readme:
        text = readme.read()
    everything = list(blocks(text))
    ran, failed = 0, 0
    with tempfile.TemporaryDirectory(prefix="readme-") as folder:
        for name in ("proto", "tests"):
            os.symlink(os.path.join(ROOT, name), os.path.join(folder, name))
        for (line, info, body), (_, _, expected) in zip(everything, everything[1:] + [(0, "", "")]):
            language, _, argument = info.partition(" ")
            if argument == "test":
                run = subprocess.run(interpreters[language] + [body.replace(DEFAULT_ADDRESS, address)], cwd=folder,
                                     env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                     universal_newlines=True, timeout=120)
                good = run.returncode == 0 and pattern(expected).fullmatch(run.stdout)
                problem = "expected\n%s\ngot (exit code %d)\n%s" % (expected, run.returncode, run.stdout)
            elif argument:
                good, problem = body == file_text(argument), "differs from %s" % argument
            else:
                continue
            ran += 1
            if not good:
                failed += 1
                print("README.md:%d: %s\n" % (line, problem))
        # The benchmark's chart shows what was measured once; all other pictures come from snippets.
        for shown in re.findall(r"^!\[.*\]\((tests/data/.*)\)$", text, re.MULTILINE):
            written = os.path.join(folder, os.path.basename(shown))
            with open(os.path.join(ROOT, shown), "rb") as expected, open(written, "rb") as got:
                if expected.read() != got.read():
                    failed += 1
                    print("README.md: %s is not what its command writes" % shown)
    print("README.md: %d snippets, %d failed" % (ran, failed))
    return 1 if failed or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
