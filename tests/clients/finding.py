"""Calls as an explorer makes them, and what its pages miss in the answers: all is noted, to be told at the end."""

import json
import urllib.error
import urllib.request
from base64 import b64encode

from expect import HOST, PASSWORD, PORT, USER, confirm as confirm_with

# Words that the explorer has a label for; any other one is shown as an unknown command.
WORDS = {
    "approve-filter-library",
    "approve-upgrade",
    "asset",
    "coinbase",
    "combine-utxos",
    "create-filter",
    "create-library",
    "create-license",
    "create-pseudo-stream",
    "create-stream",
    "create-upgrade",
    "create-variable",
    "grant-high",
    "grant-low",
    "grant-per-entity",
    "inline-data",
    "issue-asset-details",
    "issue-asset-units",
    "issue-license-unit",
    "issuemore-asset-details",
    "issuemore-asset-units",
    "license",
    "multiple-assets",
    "multiple-stream-items",
    "native",
    "not-p2pkh-p2sh",
    "offchain-stream-item",
    "onchain-stream-item",
    "pay-to-script-hash",
    "raw-data",
    "revoke-high",
    "revoke-low",
    "revoke-per-entity",
    "transfer-asset",
    "transfer-license",
    "transfer-native",
    "unspendable",
    "update-asset",
    "update-library",
    "update-variable",
}

findings = []


def finding(where, what):
    if (line := f"{where}: {what}") not in findings:
        findings.append(line)


class Refused(Exception):
    def __init__(self, error):
        super().__init__(f"{error['code']} {error['message'].splitlines()[0]}")
        self.code = error["code"]


def call(method, *params):
    """One call as the explorer makes it: a connection of its own, closed after the answer."""
    body = json.dumps({"id": 1, "method": method, "params": params}).encode()
    password = b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    headers = {
        "Content-Type": "application/json",
        "Connection": "close",
        "Authorization": f"Basic {password}",
        "Content-Length": str(len(body)),
    }
    try:
        with urllib.request.urlopen(urllib.request.Request(f"http://{HOST}:{PORT}", body, headers)) as reply:
            return json.load(reply)["result"]
    except urllib.error.HTTPError as error:
        raise Refused(json.load(error)["error"]) from None


class Api:
    def __getattr__(self, method):
        return lambda *params: call(method, *params)


api = Api()


def confirm(*ids):
    return confirm_with(api, *ids)


def ask(method, *params):
    """An answer that a page needs; a refusal is a finding, and nothing the answer."""
    try:
        return call(method, *params)
    except Refused as refusal:
        finding(f"{method}({', '.join(map(shape, params))})", f"refused with {refusal}")
        return None


def shape(parameter):
    """A parameter in a finding; numbers and long texts differ from call to call, and do not matter."""
    if isinstance(parameter, bool) or not isinstance(parameter, (int, str)):
        return json.dumps(parameter)
    return "N" if isinstance(parameter, int) else json.dumps(parameter if len(parameter) < 20 else "...")


def count(where, got, entries):
    """The number of entries, which a method tells instead of them where "-" stands for the verbose parameter."""
    if got is not None:  # a refusal is a finding already
        expect(f'{where} with "-"', got, len(entries))


def expect(where, got, wanted):
    if got != wanted:
        finding(where, f"got {json.dumps(got)[:200]}, wanted {json.dumps(wanted)[:200]}")


NUMBER = (int, float)
NOTHING = type(None)


def read(where, entry, **members):
    """Looks for each member and at its type. Says whether all are there, so that a page can go on with them."""
    if not isinstance(entry, dict):
        finding(where, f"is {json.dumps(entry)[:100]}, wanted an object")
        return False
    good = True
    for name, kinds in members.items():
        kinds = kinds if isinstance(kinds, tuple) else (kinds,)
        if name not in entry:
            finding(where, f"lacks {name}")
        elif not isinstance(entry[name], kinds) or (isinstance(entry[name], bool) and bool not in kinds):
            finding(
                where, f"{name} is {json.dumps(entry[name])[:100]}, wanted {'/'.join(kind.__name__ for kind in kinds)}"
            )
        else:
            continue
        good = False
    return good


def listed(where, answer):
    """The entries of a list that must not be empty."""
    if not isinstance(answer, list) or not answer:
        finding(where, f"is {json.dumps(answer)[:100]}, wanted entries")
        return []
    return answer


def tags(where, entry):
    if read(where, entry, tags=list):
        for word in entry["tags"]:
            if word not in WORDS:
                finding(where, f"unknown tag {word}")
        expect(f"{where} tags each once", len(set(entry["tags"])), len(entry["tags"]))
