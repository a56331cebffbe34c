"""A whole workflow over a Python client that returns results, and the envelope of an error as it came: Savoir,
multichaincli and multichain, whose calls are alike. The last one starts the node itself."""

import importlib
import logging
import sys

from expect import CHAIN, HOST, PASSWORD, PORT, USER, confirm as confirm_with, same, txid

LIBRARIES = {"Savoir": "Savoir", "multichaincli": "Multichain", "multichain": "api_call"}  # module, class

library = sys.argv[1]
module = importlib.import_module(library)
api = getattr(module, LIBRARIES[library])(USER, PASSWORD, HOST, PORT, CHAIN)

logging.getLogger(library).setLevel(logging.CRITICAL)  # errors that are meant are no news
logging.getLogger(f"{library}.client").setLevel(logging.CRITICAL)


def refused(answer, code, what):
    """Checks the envelope of an error."""
    assert isinstance(answer, dict) and list(answer) == ["result", "error", "id"], f"{what}: {answer!r}"
    same(answer["result"], None, what)
    same(answer["error"]["code"], code, what)


def confirm(*ids):
    return confirm_with(api, *ids)


def chain_and_addresses():
    info = api.getinfo()
    same(info["chainname"], CHAIN, "chain name")
    same(api.getblockchainparams()["chain-name"], info["chainname"], "chain name of the parameters")
    first = api.getaddresses()[0]
    address = api.getnewaddress()
    assert address in api.getaddresses(), "a new address is listed"
    same(api.validateaddress(address)["ismine"], True, "a new address is ours")
    same(api.validateaddress("nonsense")["isvalid"], False, "nonsense is no address")
    same(api.verifymessage(address, api.signmessage(address, "hello"), "hello"), True, "a signed message")
    return first, address


def permissions(address):
    confirm(txid(api.grant(address, "send,receive,create,issue")))
    held = {entry["type"] for entry in api.listpermissions("*", address)}
    same(held, {"send", "receive", "create", "issue"}, "permissions granted")
    confirm(txid(api.revoke(address, "create")))
    same(api.verifypermission(address, "create"), False, "a permission revoked")
    refused(api.grantfrom(address, address, "admin"), -704, "a grant by one who may not")


def streams(address):
    txid(api.create("stream", "notes", True))
    refused(api.create("stream", "notes", True), -705, "a name that is taken")
    refused(api.liststreamitems("notes"), -703, "a stream that is not subscribed")
    same(api.subscribe("notes"), None, "subscribe")
    hexadecimal = "cafe" * 20
    txid(api.publish("notes", "hex", hexadecimal))
    txid(api.publish("notes", "text", {"text": "grüße"}))
    txid(api.publishfrom(address, "notes", ["json", "second"], {"json": {"a": [1, 2.5, None, True]}}))
    cache = api.createbinarycache()
    same(api.appendbinarycache(cache, "0102"), 2, "bytes in the cache")
    last = txid(api.publish("notes", "cache", {"cache": cache}))
    txid(api.publish("notes", "off", {"text": "elsewhere"}, "offchain"))
    items = api.liststreamitems("notes")
    data = [item["data"] for item in items]
    wanted = [hexadecimal, {"text": "grüße"}, {"json": {"a": [1, 2.5, None, True]}}, "0102", {"text": "elsewhere"}]
    same(data, wanted, "data in all forms")
    same(items[2]["publishers"], [address], "publisher")
    same(api.liststreamkeyitems("notes", "second")[0]["data"], wanted[2], "an item by key")
    same(len(api.liststreampublisheritems("notes", address)), 1, "items by publisher")
    same(
        {entry["key"] for entry in api.liststreamkeys("notes")},
        {"hex", "text", "json", "second", "cache", "off"},
        "keys",
    )
    same(len(api.liststreampublishers("notes")), 2, "publishers")
    same(len(api.liststreamqueryitems("notes", {"keys": ["json", "second"]})), 1, "a query")
    same(api.getstreamitem("notes", last)["data"], "0102", "one item")
    confirm(last)
    block = api.getblock(api.getrawtransaction(last, 1)["blockhash"])
    assert last in [item["txid"] for item in api.liststreamblockitems("notes", str(block["height"]))], (
        "items of a block"
    )
    same([item["txid"] for item in api.liststreamtxitems("notes", last)], [last], "items of a transaction")
    refused(api.publish("nonsense", "k", "00"), -708, "an unknown stream")


def assets(first, address):
    issue = txid(api.issue(first, {"name": "gold", "open": True}, 1000, 0.01))
    more = txid(api.issuemore(first, "gold", 500.25))
    confirm(issue, more)
    info = api.getassetinfo("gold")
    same((info["issueqty"], info["issueraw"], info["units"]), (1500.25, 150025, 0.01), "an asset")
    sent = txid(api.sendassetfrom(first, address, "gold", 12.34))
    confirm(sent)
    same([(b["name"], b["qty"]) for b in api.getaddressbalances(address)], [("gold", 12.34)], "balance of an address")
    same([b["qty"] for b in api.gettotalbalances() if b["name"] == "gold"], [1500.25], "total balance")
    moved = api.getaddresstransaction(address, sent)
    same(moved["balance"]["assets"][0]["qty"], 12.34, "balance change of a transaction")
    refused(api.sendassetfrom(address, first, "gold", 100), -6, "more than there is")
    refused(api.sendasset(address, "nonsense", 1), -708, "an unknown asset")
    token = txid(api.issue(first, {"name": "art", "fungible": False, "open": True}, 0))
    confirm(token, txid(api.issuetoken(first, "art", "mona", 1, 0, {"year": 1503})))
    same(api.gettokeninfo("art", "mona")["details"], {"year": 1503}, "a token")


def raw(first, address):
    coins = [coin for coin in api.listunspent(1, 999999, [address]) if coin["assets"]]
    coin = {"txid": coins[0]["txid"], "vout": coins[0]["vout"]}
    built = api.createrawtransaction([coin], {first: {"gold": 2}}, [{"text": "a note"}])
    built = api.appendrawchange(built, address)
    signed = api.signrawtransaction(built)
    same(signed["complete"], True, "a signed transaction")
    decoded = api.decoderawtransaction(signed["hex"])
    same(decoded["vout"][0]["assets"][0]["qty"], 2, "a decoded transaction")
    sent = txid(api.sendrawtransaction(signed["hex"]))
    confirm(sent)
    same([b["qty"] for b in api.getaddressbalances(address)], [10.34], "balance after a raw transaction")
    refused(api.decoderawtransaction("zz"), -22, "hexadecimal text that is none")


def exchange(first, address):
    confirm(txid(api.issue(address, "silver", 50)))
    mine = api.preparelockunspentfrom(first, {"gold": 10})
    offer = api.createrawexchange(mine["txid"], mine["vout"], {"silver": 5})
    same(api.decoderawexchange(offer)["complete"], False, "an open offer")
    theirs = api.preparelockunspentfrom(address, {"silver": 5})
    swap = api.appendrawexchange(offer, theirs["txid"], theirs["vout"], {"gold": 10})
    same(swap["complete"], True, "a complete exchange")
    confirm(txid(api.sendrawtransaction(swap["hex"])))
    held = {b["name"]: b["qty"] for b in api.getaddressbalances(first)}
    same(held["silver"], 5, "what was swapped")


def errors():
    refused(api.nonsense(), -32601, "an unknown method")
    refused(api.getblock("zz", 1, 2, 3, 4), -1, "too many parameters")
    refused(api.getblock(10**6), -711, "a block beyond the tip")
    refused(api.publish("notes"), -1, "too few parameters")


first, address = chain_and_addresses()
permissions(address)
streams(address)
assets(first, address)
raw(first, address)
exchange(first, address)
errors()
print(f"{library}: the whole workflow passed")
