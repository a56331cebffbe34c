"""Transactions of every kind, put on a chain for an explorer to show."""

from expect import PATIENCE, txid, within
from finding import NUMBER, call, confirm, expect, finding, listed, read


class Story:
    """What was put on the chain: its transactions by kind, with the words that the explorer has for them; of words with
    a bar between them, one."""

    def __init__(self):
        self.kinds = {}

    def __setitem__(self, kind, words_and_id):
        words, one = words_and_id
        self.kinds[kind] = (words.split(), txid(one))

    def __getitem__(self, kind):
        return self.kinds[kind][1]

    def look_for_words(self, where, kind, got):
        missing = [words for words in self.kinds[kind][0] if not set(words.split("|")) & set(got)]
        if missing:
            finding(f"{where} tags of {kind}", f"got {' '.join(got)}, wanted {' '.join(missing)}")


def tell():
    story = Story()
    first = call("getaddresses")[0]
    within(PATIENCE, "native currency", lambda: call("getaddressbalances", first))
    second = call("getnewaddress")
    third = call("createkeypairs")[0]["address"]
    key = lambda address: call("validateaddress", address)["pubkey"]
    shared = call("addmultisigaddress", 2, [key(first), key(second)])
    story["grant"] = "grant-low", call("grant", f"{second},{third},{shared}", "send,receive")
    story["grant of a high right"] = "grant-high", call("grant", second, "mine")
    confirm(story["grant"], story["grant of a high right"])
    story["revoke of a high right"] = "revoke-high", call("revoke", second, "mine")
    story["grant of a right to issue"] = "grant-high|grant-low", call("grant", second, "issue,create")
    confirm(story["revoke of a high right"], story["grant of a right to issue"])
    story["revoke"] = "revoke-low", call("revoke", third, "send")
    streams(story, first, second)
    assets(story, first, second, third, shared)
    raw(story, first, second)
    others(story, first)
    block = call("getblock", str(call("getblockcount")))
    story["coinbase"] = "coinbase", block["tx"][0]
    confirm(*(one for _, one in story.kinds.values()))
    return story, first, second, third, shared


def streams(story, first, second):
    details = {"purpose": "test"}
    story["stream"] = "create-stream", call("createfrom", first, "stream", "notes", False, details)
    story["open stream"] = "create-stream", call("create", "stream", "open notes", {"restrict": "offchain"})
    confirm(story["stream"], story["open stream"])
    story["grant for a stream"] = "grant-per-entity", call("grant", second, "notes.write")
    confirm(story["grant for a stream"])
    story["item"] = "onchain-stream-item", call("publishfrom", first, "notes", "hex", "cafe")
    story["text item"] = (
        "onchain-stream-item",
        call("publishfrom", second, "notes", ["text", "more", "text2", "k4", "k5", "k6"], {"text": "grüße"}),
    )
    story["JSON item"] = "onchain-stream-item", call("publishfrom", first, "notes", "json", {"json": {"a": [1, None]}})
    story["large item"] = "onchain-stream-item", call("publishfrom", first, "notes", "large", "ab" * 40_000)
    story["off-chain item"] = (
        "offchain-stream-item",
        call("publishfrom", first, "notes", "off", {"text": "elsewhere"}, "offchain"),
    )
    several = [
        {"for": "notes", "key": "one", "data": "01"},
        {"for": "open notes", "key": "two", "data": {"text": "two"}},
    ]
    story["several items"] = (
        "onchain-stream-item|multiple-stream-items",
        call("publishmultifrom", first, "notes", several),
    )
    confirm(story["text item"])
    story["revoke for a stream"] = "revoke-per-entity", call("revoke", second, "notes.write")


def assets(story, first, second, third, shared):
    details = {"grade": "A"}
    gold = {"name": "gold", "open": True, "canclose": True, "canopen": True, "totallimit": 5000}
    story["issue"] = (
        "issue-asset-units issue-asset-details",
        call("issuefrom", first, first, gold, 1000, 0.01, 0, details),
    )
    story["issue of silver"] = (
        "issue-asset-units issue-asset-details",
        call("issuefrom", second, second, "silver", 50, 1),
    )
    story["issue of nothing yet"] = (
        "issue-asset-details",
        call("issuefrom", first, first, {"name": "art", "fungible": False, "open": True}, 0),
    )
    confirm(story["issue"], story["issue of silver"], story["issue of nothing yet"])
    story["further issue"] = (
        "issuemore-asset-units issuemore-asset-details",
        call("issuemorefrom", first, second, "gold", 20.5, 0, {"grade": "B"}),
    )
    story["token"] = (
        "issuemore-asset-units|issue-asset-units|issuemore-asset-details|update-asset",
        call("issuetokenfrom", first, first, "art", "mona", 1, 0, {"year": 1503}),
    )
    confirm(story["further issue"], story["token"])
    story["closed asset"] = "update-asset|issuemore-asset-details", call("updatefrom", first, "gold", {"open": False})
    story["sent asset"] = "transfer-asset", call("sendassetfrom", first, second, "gold", 12.34)
    story["sent token"] = "transfer-asset", call("sendfrom", first, second, {"art": {"token": "mona", "qty": 1}})
    story["sent currency"] = "transfer-native", call("sendfrom", first, second, 2.5)
    story["sent both"] = "transfer-asset transfer-native", call("sendfrom", first, third, {"gold": 3, "": 0.5})
    story["sent assets"] = "transfer-asset|multiple-assets", call("sendfrom", second, first, {"gold": 1, "silver": 2})
    story["sent to a shared address"] = (
        "transfer-asset pay-to-script-hash",
        call("sendassetfrom", first, shared, "gold", 4),
    )


def raw(story, first, second):
    with_data = lambda data: call("sendwithdatafrom", first, second, {"gold": 1}, data)
    story["sent with data"] = "transfer-asset raw-data", with_data("cafe")
    story["sent with an item"] = (
        "transfer-asset onchain-stream-item",
        with_data({"for": "notes", "key": "paid", "data": {"json": [1]}}),
    )
    story["inline data"] = (
        "inline-data",
        call("createrawsendfrom", first, {second: {"gold": 1, "data": [{"text": "inside"}]}}, [], "send"),
    )
    mine = call("preparelockunspentfrom", first, {"gold": 10})
    offer = call("createrawexchange", mine["txid"], mine["vout"], {"silver": 5})
    offered(offer)
    theirs = call("preparelockunspentfrom", second, {"silver": 5})
    swap = call("appendrawexchange", offer, theirs["txid"], theirs["vout"], {"gold": 10})
    expect("appendrawexchange", swap["complete"], True)
    story["exchange"] = "transfer-asset|multiple-assets", call("sendrawtransaction", swap["hex"])


def offered(offer):
    """What the demo shows of an offer before it is taken."""
    decoded = call("decoderawexchange", offer)
    for side, wanted in [("offer", ("gold", 10)), ("ask", ("silver", 5))]:
        where = f"decoderawexchange {side}"
        if read("decoderawexchange", decoded, **{side: dict}) and read(where, decoded[side], assets=list):
            for asset in listed(f"{where}.assets", decoded[side]["assets"]):
                if read(f"{where}.assets[]", asset, name=str, qty=NUMBER):
                    expect(f"{where}.assets[]", (asset["name"], asset["qty"]), wanted)


def others(story, first):
    story["variable"] = "create-variable", confirm(call("createfrom", first, "variable", "level", True, {"start": 1}))
    story["changed variable"] = "update-variable", call("setvariablevaluefrom", first, "level", {"now": [2]})
    story["upgrade"] = (
        "create-upgrade",
        confirm(call("createfrom", first, "upgrade", "larger", False, {"maximum-block-size": 8388608})),
    )
    story["approved upgrade"] = "approve-upgrade", call("approvefrom", first, "larger", True)
