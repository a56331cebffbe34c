"""A whole workflow over mcrpc, a Python client with classes for some answers: it insists on their members, leaves out
parameters that are None, reads and writes exact decimals, and finds a node by its files."""

import pathlib
from decimal import Decimal

import mcrpc
from mcrpc.exceptions import RpcError

from expect import CHAIN, HOST, PASSWORD, PATIENCE, PORT, USER, confirm as confirm_with, same, within

api = mcrpc.RpcClient(HOST, PORT, USER, PASSWORD)


def confirm(*ids):
    return confirm_with(api, *ids)


def refused(call, words, what):
    """The library keeps the message of an error alone."""
    try:
        answer = call()
    except RpcError as error:
        assert words in str(error).lower(), f"{what}: {error}"
    else:
        raise AssertionError(f"{what}: {answer!r}")


def classes():
    """Each call fails unless every member is there that the library's class names."""
    for call in [
        api.getinfo,
        api.getblockchaininfo,
        api.getmempoolinfo,
        api.gettxoutsetinfo,
        api.getinitstatus,
        api.getruntimeparams,
        api.getmininginfo,
        api.getchunkqueueinfo,
        api.getchunkqueuetotals,
        api.getnettotals,
        api.getnetworkinfo,
        api.getwalletinfo,
    ]:
        assert call().as_dict(), call.__name__
    info = api.getinfo()
    same((info.chainname, info.description), (CHAIN, f"MultiChain {CHAIN}"), "names of the chain")
    same(api.getblockchaininfo().chainname, CHAIN, "chain name")
    same(api.getinitstatus().initialized, True, "a node that is ready")
    same(api.getblockchainparams(True, False)["chain-name"], CHAIN, "chain name of the parameters")


def found_by_files():
    """The library reads params.dat and multichain.conf in the folder of the original's name."""
    assert pathlib.Path(mcrpc.lib.DATADIR, CHAIN, "multichain.conf").is_file(), "the test has laid no files"
    assert CHAIN in mcrpc.lib.read_chains(), "the chain is found"
    found = mcrpc.autoconnect(CHAIN)
    assert found is not None, "autoconnect found no node that answers"
    same(found.getinfo().nodeaddress, api.getinfo().nodeaddress, "the node found")


def addresses_and_permissions():
    first = api.getaddresses()[0]
    address = api.getnewaddress()
    assert address in [entry["address"] for entry in api.listaddresses()], "a new address is listed"
    same(api.validateaddress(address)["ismine"], True, "a new address is ours")
    pair = api.createkeypairs()[0]
    same(api.validateaddress(pair["privkey"])["address"], pair["address"], "address of a private key")
    same(api.verifymessage(address, api.signmessage(address, "hello"), "hello"), True, "a signed message")
    confirm(api.grant(address, "send,receive,issue,create"))
    held = {entry["type"] for entry in api.listpermissions("*", address)}
    same(held, {"send", "receive", "issue", "create"}, "permissions granted")
    confirm(api.revoke(address, "create"))
    same(api.verifypermission(address, "create"), False, "a permission revoked")
    refused(lambda: api.grantfrom(address, address, "admin"), "permission", "a grant by one who may not")
    return first, address


def streams(address):
    confirm(api.create("stream", "notes", False))
    refused(lambda: api.liststreamitems("notes"), "subscribed", "a stream that is not subscribed")
    api.subscribe("notes")
    confirm(api.grant(address, "notes.write"))
    api.publish("notes", "hex", "00ff")
    api.publish("notes", "text", {"text": "grüße"})
    exact = Decimal("0.1")
    api.publishfrom(address, "notes", ["json", "more"], {"json": {"exact": exact, "big": 2**53, "none": None}})
    cache = api.createbinarycache()
    same(api.appendbinarycache(cache, "0102"), 2, "bytes in the cache")
    api.publish("notes", "cache", {"cache": cache})
    same(api.deletebinarycache(cache), None, "a cache deleted")
    api.publishmulti("notes", [{"key": "multi", "data": "01"}, {"key": "multi", "data": {"text": "two"}}])
    last = api.publish("notes", "off", {"text": "elsewhere"}, "offchain")
    wanted = [
        "00ff",
        {"text": "grüße"},
        {"json": {"exact": exact, "big": 2**53, "none": None}},
        "0102",
        "01",
        {"text": "two"},
        {"text": "elsewhere"},
    ]
    same([item["data"] for item in api.liststreamitems("notes", False, 2147483647)], wanted, "data in all forms")
    same([item["data"] for item in api.liststreamitems("notes", True, 2, 1)], wanted[1:3], "a page")
    same(api.liststreamkeyitems("notes", "more")[0]["publishers"], [address], "an item by key")
    same(len(api.liststreampublisheritems("notes", address)), 1, "items by publisher")
    keys = {entry["key"]: entry["items"] for entry in api.liststreamkeys("notes")}
    same(keys, {"hex": 1, "text": 1, "json": 1, "more": 1, "cache": 1, "multi": 2, "off": 1}, "keys")
    same(len(api.liststreampublishers("notes", "*", True)), 2, "publishers")
    same(len(api.liststreamqueryitems("notes", {"key": "multi", "publisher": api.getaddresses()[0]})), 2, "a query")
    same(api.getstreamitem("notes", last, True)["offchain"], True, "one item")
    same(api.getstreaminfo("notes")["restrict"]["write"], True, "a stream")
    same(
        api.gettxoutdata(last, api.getstreamitem("notes", last, True)["vout"]),
        {"text": "elsewhere"},
        "data of an output",
    )
    confirm(last)
    info = api.liststreams("notes", True)[0]
    same((info["items"], info["confirmed"], info["publishers"]), (7, 7, 2), "numbers of a stream")
    refused(lambda: api.publish("nowhere", "k", "00"), "not found", "an unknown stream")


def assets(first, address):
    confirm(api.issue(first, {"name": "gold", "open": True}, 1000, Decimal("0.00000001"), 0, {"grade": "A"}))
    confirm(api.issuemore(first, "gold", Decimal("0.00000003")))
    gold = api.getassetinfo("gold", True)
    same((gold["issueqty"], gold["issueraw"]), (Decimal("1000.00000003"), 100000000003), "exact quantities")
    confirm(api.sendassetfrom(first, address, "gold", Decimal("12.34567891")))
    same(
        [(b["name"], b["qty"]) for b in api.getaddressbalances(address)], [("gold", Decimal("12.34567891"))], "balance"
    )
    same(api.gettotalbalances()[0]["qty"], Decimal("1000.00000003"), "total balance")
    totals = api.getmultibalances(address, "gold")
    same(totals["total"][0]["qty"], Decimal("12.34567891"), "balances of addresses")
    api.subscribe("gold")
    moved = api.listassettransactions("gold", True)[-1]["addresses"]
    same(moved[address], Decimal("12.34567891"), "a transaction of an asset")
    same(api.listwallettransactions(1)[0]["balance"]["assets"], [], "a transaction inside the wallet")
    refused(lambda: api.sendassetfrom(address, first, "gold", 100), "insufficient", "more than there is")


def raw_and_exchange(first, address):
    coin = next(coin for coin in api.listunspent(1, 999999, [address]) if coin["assets"])
    built = api.createrawtransaction(
        [{"txid": coin["txid"], "vout": coin["vout"]}], {first: {"gold": 2}}, [{"text": "a note"}]
    )
    signed = api.signrawtransaction(api.appendrawchange(built, address))
    same(signed["complete"], True, "a signed transaction")
    confirm(api.sendrawtransaction(signed["hex"]))
    confirm(api.issue(address, "silver", 50))
    mine = api.preparelockunspentfrom(first, {"gold": 10})
    offer = api.createrawexchange(mine["txid"], mine["vout"], {"silver": 5})
    same(api.decoderawexchange(offer)["complete"], False, "an open offer")
    theirs = api.preparelockunspentfrom(address, {"silver": 5})
    swap = api.appendrawexchange(offer, theirs["txid"], theirs["vout"], {"gold": 10})
    same(swap["complete"], True, "a complete exchange")
    confirm(api.sendrawtransaction(swap["hex"]))
    same({b["name"]: b["qty"] for b in api.getaddressbalances(first)}["silver"], 5, "what was swapped")


def errors():
    refused(lambda: api.nonsense(), "not found", "an unknown method")
    refused(lambda: api.getblock(10**6), "block", "a block beyond the tip")
    refused(lambda: api.getrawtransaction("00" * 32), "transaction", "an unknown transaction")


within(PATIENCE, "a node that is ready", lambda: api.getinitstatus().initialized)
classes()
found_by_files()
first, address = addresses_and_permissions()
streams(address)
assets(first, address)
raw_and_exchange(first, address)
errors()
print("mcrpc: the whole workflow passed")
