"""What the Python workflows expect of every library alike, and where their node is."""

import os
import re
import time

HOST = os.environ["ROTA_HOST"]
PORT = os.environ["ROTA_PORT"]
USER = os.environ["ROTA_USER"]
PASSWORD = os.environ["ROTA_PASSWORD"]
CHAIN = os.environ["ROTA_CHAIN"]

PATIENCE = 60  # seconds until a transaction counts as never confirmed


def same(got, wanted, what):
    assert got == wanted, f"{what}: got {got!r}, wanted {wanted!r}"


def txid(answer):
    assert isinstance(answer, str) and re.fullmatch("[0-9a-f]{64}", answer), f"not a transaction id: {answer!r}"
    return answer


def within(patience, what, condition):
    """Asks until the answer is true, and returns it."""
    deadline = time.monotonic() + patience
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {patience} s"
        time.sleep(0.1)
    return answer


def confirm(api, *ids):
    for one in ids:
        shown = lambda: api.getrawtransaction(txid(one), 1).get("confirmations", 0) > 0
        within(PATIENCE, f"{one} confirmed", shown)
    return ids[-1]
