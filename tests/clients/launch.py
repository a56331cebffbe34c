"""The Python client multichain runs the utility and the daemon itself, from a folder that it expects to be delivered
with them, in the data directory of who has none in mind, with -daemon. Then its workflow as any other client's."""

import os
import pathlib
import re
import runpy
import signal
import socket
import sys


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


os.environ["ROTA_PORT"] = str(free_port())  # before the workflow's modules read it
from expect import CHAIN, HOST, PASSWORD, PATIENCE, PORT, USER, within

HOME = pathlib.Path(os.environ["HOME"])  # a folder of this test alone
DIRECTORY = HOME / ".rota" / CHAIN


def soon(what, condition):
    return within(PATIENCE, what, condition)


def lay_out():
    """Puts the programs where the library looks for them, under the names that it knows."""
    folder = HOME / "conda" / "Lib" / "site-packages" / "multichain" / "source"
    folder.mkdir(parents=True)
    for known, program in [("multichain-util", "node-util"), ("multichaind", "noded")]:
        (folder / known).symlink_to(pathlib.Path(os.environ["ROTA_BIN"]) / program)
    os.environ["CONDA_PREFIX"] = str(HOME / "conda")


def edit_parameters():
    """Changes params.dat with an editor's means, as one does between making a chain and its first start."""
    path = soon("params.dat", lambda: (DIRECTORY / "params.dat").is_file() and DIRECTORY / "params.dat")
    text = soon("a written params.dat", lambda: "setup-first-blocks" in path.read_text() and path.read_text())
    wanted = {
        "target-block-time": 2,
        "setup-first-blocks": 2,
        "mine-empty-rounds": -1,
        "mining-requires-peers": "false",
    }
    for name, value in wanted.items():
        text, changed = re.subn(rf"(?m)^{name} = \S+", f"{name} = {value}", text)
        assert changed == 1, f"params.dat has {changed} lines {name}"
    path.write_text(text)


def configure():
    """Writes the file of settings under its old name; what the utility wrote would count more and is taken away."""
    made = DIRECTORY / "node.conf"
    soon("a written node.conf", lambda: made.is_file() and "rpcpassword" in made.read_text())
    made.unlink()
    (DIRECTORY / "multichain.conf").write_text(
        f"rpcuser={USER}\nrpcpassword={PASSWORD}\nrpcport={PORT}\nport={free_port()}\nbind=127.0.0.1\n"
    )


def answers():
    with socket.socket() as probe:
        return probe.connect_ex((HOST, int(PORT))) == 0


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to end"))  # not without ending the daemon
lay_out()
import multichain  # reads the folder from the environment, so not before it is there

multichain.create(CHAIN)
edit_parameters()
configure()
multichain.run(CHAIN)
pid = int(soon("noded.pid", lambda: (DIRECTORY / "noded.pid").is_file() and (DIRECTORY / "noded.pid").read_text()))
try:
    soon("an answer of the daemon", answers)
    sys.argv = ["envelope.py", "multichain"]
    space = runpy.run_path(str(pathlib.Path(__file__).with_name("envelope.py")))
    space["api"].stop()
    soon("the end of the daemon", lambda: not alive(pid))
finally:
    if alive(pid):
        os.kill(pid, signal.SIGTERM)
