"""What an explorer and a web demo do: they ask for every page about transactions of every kind, and read every member
that those pages show. All that is missing or wrong is told at the end, each with its method and member."""

import json

from expect import PATIENCE, within
from finding import NOTHING, NUMBER, ask, call, confirm, count, expect, finding, findings, listed, read, tags
from story import tell

LARGEST_COUNT = 2147483647
PAGE = 20  # entries of a page of lists


# --- Pages about the chain ---


def chain_pages():
    totals = ask("getchaintotals")
    read("getchaintotals", totals, blocks=int, rewards=NUMBER, addresses=int, transactions=int, assets=int, streams=int)
    expect("getchaintotals assets", totals["assets"], len(call("listassets")))
    expect("getchaintotals streams", totals["streams"], len(call("liststreams")))
    info = ask("getinfo")
    read(
        "getinfo",
        info,
        chainname=str,
        version=str,
        protocolversion=int,
        nodeaddress=str,
        blocks=int,
        connections=int,
        burnaddress=str,
        relayfee=NUMBER,
    )
    parameters = ask("getblockchainparams")
    read(
        "getblockchainparams",
        parameters,
        **{
            "chain-name": str,
            "native-currency-multiple": int,
            "maximum-block-size": int,
            "max-std-tx-size": int,
            "max-std-op-return-size": int,
        },
    )
    peers = within(PATIENCE, "two peers", lambda: len(found := call("getpeerinfo")) == 2 and found)
    for peer in peers:
        if read("getpeerinfo", peer, addr=str, handshake=(str, NOTHING), pingtime=NUMBER, inbound=bool):
            expect("getpeerinfo addr", peer["addr"].split(":")[0], "127.0.0.1")
    for miner in listed("listminers", ask("listminers")):
        read(
            "listminers",
            miner,
            address=str,
            permitted=bool,
            diversitywaitblocks=(int, NOTHING),
            lastmined=(int, NOTHING),
            chainstate=str,
        )


def block_pages():
    last = call("getblockcount")
    blocks = listed("listblocks", ask("listblocks", f"0-{last}"))
    expect("listblocks length", len(blocks), last + 1)
    for block in blocks:
        read("listblocks", block, height=int, hash=str, miner=(str, NOTHING), time=int, txcount=int)
    for height in range(last + 1):
        block = ask("getblock", str(height))
        read(
            "getblock",
            block,
            hash=str,
            height=int,
            miner=(str, NOTHING),
            version=int,
            merkleroot=str,
            time=int,
            nonce=int,
            tx=list,
            **({"previousblockhash": str} if height else {}),
            **({"nextblockhash": str} if height < last else {}),
        )
        number = ask("explorerlistblocktransactions", height, "-")
        count("explorerlistblocktransactions", number, block["tx"])
        page = ask("explorerlistblocktransactions", height, True, 99999999) or []
        expect("explorerlistblocktransactions txids", [entry.get("txid") for entry in page], block["tx"])
        for entry in page:
            tags("explorerlistblocktransactions", entry)
        expect(
            "explorerlistblocktransactions COUNT START",
            [entry["txid"] for entry in ask("explorerlistblocktransactions", height, True, 1, 0) or []],
            block["tx"][:1],
        )


def placed(where, entry):
    """A transaction in a list: where it is on the chain, or that it waits."""
    if read(where, entry, txid=str, confirmations=int, blockheight=(int, NOTHING)) and entry["blockheight"] is not None:
        read(where, entry, blocktime=int, blockhash=str)


def transaction_pages(story):
    method = "explorerlisttransactions"
    number = ask(method, "-")
    everything = listed(method, ask(method, True, LARGEST_COUNT, 0))
    count(method, number, everything)
    expect("getchaintotals transactions", call("getchaintotals")["transactions"], len(everything))
    for entry in everything:
        placed(method, entry)
        tags(method, entry)
    order = [entry["txid"] for entry in everything]
    expect(f"{method} COUNT START", [entry["txid"] for entry in ask(method, True, 5, 3) or []], order[3:8])
    expect(f"{method} COUNT -START", [entry["txid"] for entry in ask(method, True, 5, -5) or []], order[-5:])
    expect(f"{method} default", len(ask(method, True) or []), 10)
    by_id = {entry["txid"]: entry for entry in everything}
    for kind, (_, one) in story.kinds.items():
        if one not in by_id:
            finding(method, f"lacks the transaction: {kind}")
            continue
        story.look_for_words(method, kind, by_id[one].get("tags", []))


def waiting_transaction(first):
    """A transaction that no block holds yet is shown with null as height."""
    call("pause", "mining")
    waiting = call("publishfrom", first, "notes", "waiting", "00")
    for method, params in [
        ("explorerlisttransactions", [True, 1]),
        ("explorerlistaddresstransactions", [first, True, 1]),
    ]:
        for entry in listed(method, ask(method, *params)):
            expect(f"{method} of what waits", (entry["txid"], entry["confirmations"]), (waiting, 0))
            read(f"{method} of what waits", entry, blockheight=NOTHING, tags=list)
    shown = ask("explorergetrawtransaction", waiting, 1)
    read(
        "explorergetrawtransaction of what waits", shown, blockheight=NOTHING, confirmations=int, tags=list, assets=list
    )
    item = call("liststreamitems", "notes", True, 1)[0]
    expect("liststreamitems of what waits", (item["txid"], item["confirmations"]), (waiting, 0))
    call("resume", "mining")
    confirm(waiting)


# --- Pages about addresses ---


def address_pages(addresses):
    method = "explorerlistaddresses"
    number = call("getchaintotals")["addresses"]
    everything = listed(method, ask(method, "*", True, LARGEST_COUNT, 0))
    expect("getchaintotals addresses", number, len(everything))
    for entry in everything:
        if read(method, entry, address=str, txs=int, confirmed=int, assets=int, streams=int, first=dict, last=dict):
            placed(f"{method} first", entry["first"])
            placed(f"{method} last", entry["last"])
    count(method, ask(method, "*", "-"), everything)
    names = [entry["address"] for entry in everything]
    expect(f"{method} COUNT START", [entry["address"] for entry in ask(method, "*", True, 2, 1) or []], names[1:3])
    for address in addresses:
        expect(f"{method} knows", address in names, True)
        entry = listed(f"{method} ADDRESS", ask(method, address))
        if entry and read(f"{method} ADDRESS", entry[0], address=str, txs=int, confirmed=int, assets=int, streams=int):
            address_page(address, entry[0])
        else:
            address_page(address, None)
    permissions(addresses)


def address_page(address, summary):
    method = "explorerlistaddresstransactions"
    page = listed(method, ask(method, address, True, LARGEST_COUNT, 0))
    count(method, ask(method, address, "-"), page)
    for entry in page:
        placed(method, entry)
        tags(method, entry)
    assets = address_assets(address)
    streams = ask("explorerlistaddressstreams", address, True, LARGEST_COUNT, 0) or []
    count("explorerlistaddressstreams", ask("explorerlistaddressstreams", address, "-"), streams)
    for entry in streams:
        if read("explorerlistaddressstreams", entry, createtxid=str, name=str, items=int, confirmed=int):
            own = call("liststreampublishers", entry["name"], address)[0]
            expect(f"explorerlistaddressstreams items of {entry['name']}", entry["items"], own["items"])
    if summary:
        expect("explorerlistaddresses txs", summary["txs"], len(page))
        expect("explorerlistaddresses assets", summary["assets"], len(assets))
        expect("explorerlistaddresses streams", summary["streams"], len(streams))


def holdings(address):
    """What an address owns, by name, from the outputs alone; the empty name stands for native currency."""
    return {entry.get("name", ""): entry["qty"] for entry in call("getaddressbalances", address, 0)}


def address_assets(address):
    method = "explorerlistaddressassets"
    entries = ask(method, address, True, LARGEST_COUNT, 0) or []
    count(method, ask(method, address, "-"), entries)
    watched = call("validateaddress", address)["ismine"]
    for entry in entries:
        if not read(method, entry, name=(str, NOTHING), issuetxid=(str, NOTHING), assetref=(str, NOTHING), qty=NUMBER):
            continue
        if watched:
            expect(
                f"{method} qty of {entry['name']}",
                round(entry["qty"], 8),
                holdings(address).get(entry["name"] or "", 0),
            )
    return entries


def holder_pages(addresses):
    """Who holds an asset, and how each came to it; the empty name stands for native currency."""
    for asset in ["gold", "silver", "art", ""]:
        method = "explorerlistassetaddresses"
        holders = listed(f"{method} {asset!r}", ask(method, asset, True, LARGEST_COUNT, 0))
        count(f"{method} {asset!r}", ask(method, asset, "-"), holders)
        for holder in holders:
            if read(f"{method} {asset!r}", holder, address=str, qty=NUMBER, raw=int):
                holder_page(asset, holder["address"], holder["qty"])
    for address, asset, wanted in [(addresses[0], "gold", 6), (addresses[1], "silver", 3)]:
        holder_page(asset, address, holdings(address).get(asset, 0), wanted)


def holder_page(asset, address, qty, at_least=1):
    method = "explorerlistaddressassettransactions"
    where = f"{method} [asset, address]"
    entries = listed(where, ask(method, asset, address, True, LARGEST_COUNT, 0))
    count(where, ask(method, asset, address, "-"), entries)
    count(f"{method} [address, asset]", ask(method, address, asset, "-"), entries)
    if len(entries) < at_least:
        finding(where, f"{len(entries)} transactions of {asset!r}, wanted at least {at_least}")
    balance = 0
    for entry in entries:
        placed(where, entry)
        if read(where, entry, amount=NUMBER, balance=NUMBER):
            balance = round(balance + entry["amount"], 8)
            expect(f"{where} balance of {asset!r} after a change", round(entry["balance"], 8), balance)
    expect(f"{where} last balance of {asset!r}", balance, round(qty, 8))


def permissions(addresses):
    for params in [
        [],
        ["notes.*"],
        ["gold.*"],
        ["*", addresses[0]],
        ["all", ",".join(addresses)],
        ["send", addresses[0]],
    ]:
        for entry in listed(f"listpermissions {params}", ask("listpermissions", *params)):
            read("listpermissions", entry, type=str, address=str)


# --- Pages about assets ---


def asset_pages():
    number = call("getchaintotals")["assets"]
    for verbose in [False, True]:
        for entry in listed("listassets", ask("listassets", "*", verbose, PAGE, 0)):
            if not read(
                "listassets",
                entry,
                name=str,
                issuetxid=str,
                assetref=str,
                multiple=int,
                units=NUMBER,
                open=bool,
                canopen=bool,
                canclose=bool,
                fungible=bool,
                restrict=dict,
                details=dict,
                issueqty=NUMBER,
                issuecount=int,
                totallimit=(*NUMBER, NOTHING),
                issuelimit=(*NUMBER, NOTHING),
                subscribed=bool,
            ):
                continue
            expect(f"listassets subscribed of {entry['name']}", entry["subscribed"], True)
            read("listassets of what is followed", entry, transactions=int, confirmed=int, synchronized=bool)
            if verbose and read("listassets", entry, issues=list):
                for issue in listed("listassets issues", entry["issues"]):
                    read("listassets issues[]", issue, txid=str, qty=NUMBER, details=dict, issuers=list)
    expect("listassets length", len(call("listassets", "*", False, LARGEST_COUNT, 0)), number)
    for name, issues in [("gold", 2), ("silver", 1), ("art", 2)]:
        entry = listed("listassets NAME", ask("listassets", name, False))[0]
        expect(f"listassets issuecount of {name}", entry["issuecount"], issues)
        found = listed("listassetissues", ask("listassetissues", name, True, PAGE, 0))
        expect(f"listassetissues length of {name}", len(found), issues)
        for issue in found:
            members = {} if entry["fungible"] else {"token": (str, NOTHING)}
            read("listassetissues", issue, txid=str, qty=NUMBER, issuers=list, details=dict, **members)
        asset_transactions(name, entry.get("transactions"))


def asset_transactions(name, number):
    entries = listed("listassettransactions", ask("listassettransactions", name, True, LARGEST_COUNT, 0))
    expect(f"listassets transactions of {name}", number, len(entries))
    sums = {}
    for entry in entries:
        if read(
            "listassettransactions", entry, txid=str, addresses=dict, confirmations=int, blockheight=int, blocktime=int
        ):
            for address, change in entry["addresses"].items():
                sums[address] = round(sums.get(address, 0) + change, 8)
    held = {
        entry["address"]: round(entry.get("qty", -1), 8)
        for entry in ask("explorerlistassetaddresses", name, True) or []
    }
    expect(
        f"listassettransactions sums of {name}, as explorerlistassetaddresses has them",
        {address: change for address, change in sorted(sums.items()) if change},
        {address: qty for address, qty in sorted(held.items()) if qty},
    )


# --- Pages about streams ---


def stream_pages():
    for entry in listed("liststreams", ask("liststreams", "*", True, PAGE, 0)):
        if not read(
            "liststreams",
            entry,
            name=str,
            createtxid=str,
            streamref=str,
            restrict=dict,
            salted=bool,
            details=dict,
            creators=list,
            filters=list,
            subscribed=bool,
        ):
            continue
        expect(f"liststreams subscribed of {entry['name']}", entry["subscribed"], True)
        if read(
            "liststreams of what is followed",
            entry,
            items=int,
            confirmed=int,
            keys=int,
            publishers=int,
            synchronized=bool,
        ):
            if entry["items"]:
                stream_page(entry)
    labels = ask("liststreampublishers", "root", "*", True, 10000)
    expect("liststreampublishers of root", labels, [])


def stream_page(stream):
    name = stream["name"]
    by_id = listed("liststreams TXID", ask("liststreams", stream["createtxid"], True))
    expect("liststreams TXID", [entry["name"] for entry in by_id], [name])
    items = listed("liststreamitems", ask("liststreamitems", name, True, PAGE, 0))
    expect(f"liststreams items of {name}", stream["items"], len(items))
    for item in items:
        stream_item("liststreamitems", item)
    for kind, singular in [("keys", "key"), ("publishers", "publisher")]:
        method = f"liststream{kind}"
        entries = listed(method, ask(method, name, "*", True, PAGE, 0))
        expect(f"liststreams {kind} of {name}", stream[kind], len(entries))
        for entry in entries:
            if read(method, entry, items=int, confirmed=int, first=dict, last=dict, **{singular: str}):
                stream_item(f"{method} last", entry["last"])
                found = listed(
                    f"liststream{singular}items",
                    ask(f"liststream{singular}items", name, entry[singular], True, PAGE, 0),
                )
                expect(f"{method} items", entry["items"], len(found))
                expect(f"{method} last", entry["last"]["txid"], found[-1]["txid"])
                for item in found:
                    stream_item(f"liststream{singular}items", item)


def stream_item(where, item):
    if not read(
        where,
        item,
        publishers=list,
        keys=list,
        offchain=bool,
        available=bool,
        data=(str, dict),
        confirmations=int,
        txid=str,
        vout=int,
        blocktime=int,
        time=int,
    ):
        return
    expect(f"{where} available", item["available"], True)
    shown_data(where, item["data"], item["txid"], item["vout"])


def shown_data(where, data, one, vout):
    """Data as a page shows it: hexadecimal, text, JSON, or a reference that another call follows."""
    if isinstance(data, str):
        bytes.fromhex(data)
    elif "text" in data:
        read(where, data, text=str)
    elif "json" not in data and read(f"{where} reference", data, txid=str, vout=int, size=int, format=str):
        expect(f"{where} reference", (data["txid"], data["vout"]), (one, vout))
        whole = ask("gettxoutdata", one, vout)
        if isinstance(whole, str):
            expect("gettxoutdata length", len(whole), 2 * data["size"])
            expect("gettxoutdata COUNT", ask("gettxoutdata", one, vout, 1024), whole[:2048])


# --- The page of a transaction ---


def raw_transactions(story):
    method = "explorergetrawtransaction"
    every = [entry["txid"] for entry in call("explorerlisttransactions", False, LARGEST_COUNT, 0)]
    shown = {}
    for one in every:
        entry = ask(method, one, 1)
        hexadecimal = ask("getrawtransaction", one, 0)
        if entry and read(
            method,
            entry,
            txid=str,
            hex=str,
            vin=list,
            vout=list,
            blockheight=(int, NOTHING),
            blocktime=int,
            confirmations=int,
            assets=list,
            tags=list,
        ):
            expect(f"{method} hex", entry["hex"], hexadecimal)
        if entry:
            shown[one] = entry
            transaction(method, one, entry)
    redeemed(method, shown)
    kinds(method, story, shown)


def transaction(method, one, entry):
    tags(method, entry)
    for asset in entry.get("assets", []):
        read(f"{method} assets[]", asset, name=str, issuetxid=str, address=str, qty=NUMBER)
    for vin in entry["vin"]:
        input_row(f"{method} vin[]", vin)
    for index, vout in enumerate(entry["vout"]):
        output_row(f"{method} vout[]", one, index, vout)
    if "create" in entry:
        read(f"{method} create", entry["create"], name=str, restrict=dict, details=dict)
    if "issue" in entry and read(f"{method} issue", entry["issue"], name=str, details=dict, type=str):
        if entry["issue"]["type"] == "issuefirst":
            read(f"{method} issue", entry["issue"], open=bool, multiple=int)


def input_row(where, vin):
    tags(where, vin)
    if "coinbase" in vin:
        read(where, vin, coinbase=str)
        return
    if read(where, vin, txid=str, vout=int, scriptSig=dict, addresses=list):
        read(f"{where} scriptSig", vin["scriptSig"], asm=str)
        listed(f"{where} addresses", vin["addresses"])
    moved(where, vin)


def output_row(where, one, index, vout):
    tags(where, vout)
    if read(where, vout, n=int, redeem=(dict, NOTHING), scriptPubKey=dict) and vout["redeem"]:
        read(f"{where} redeem", vout["redeem"], txid=str, vin=int)
    script = vout.get("scriptPubKey", {})
    read(f"{where} scriptPubKey", script, asm=str, type=str)
    if "unspendable" not in vout.get("tags", []):
        read(f"{where} scriptPubKey of what can be spent", script, addresses=list)
    moved(where, vout)
    for grant in vout.get("permissions", []):
        if (
            read(f"{where} permissions[]", grant, startblock=int, endblock=int, **{"for": (dict, NOTHING)})
            and grant["for"]
        ):
            read(f"{where} permissions[] for", grant["for"], type=str, name=str)
    for item in vout.get("items", []):
        if read(
            f"{where} items[]", item, type=str, createtxid=str, name=str, keys=list, offchain=bool, data=(str, dict)
        ):
            if not item["offchain"]:
                shown_data(f"{where} items[]", item["data"], one, index)
    for data in vout.get("data", []):
        shown_data(f"{where} data[]", data, one, index)
    if "variable" in vout:
        read(f"{where} variable", vout["variable"], name=str)
        expect(f"{where} variable has a value", "value" in vout["variable"], True)


def moved(where, row):
    """Assets of an input or output; an entry of native currency has null as issuetxid."""
    for asset in row.get("assets", []):
        if read(f"{where} assets[]", asset, issuetxid=(str, NOTHING), qty=NUMBER) and asset["issuetxid"]:
            read(f"{where} assets[]", asset, name=str)
    amount = row.get("value", row.get("amount", 0))
    if amount:
        native = [asset.get("qty") for asset in row.get("assets", []) if asset.get("issuetxid", "") is None]
        expect(f"{where} assets[] with the native currency", native, [amount])


def redeemed(method, shown):
    """Each input is the redeem of the output that it spends, and the other way round."""
    spent = {}
    for one, entry in shown.items():
        for number, vin in enumerate(entry["vin"]):
            if "txid" in vin:
                spent[vin["txid"], vin["vout"]] = {"txid": one, "vin": number}
    for one, entry in shown.items():
        for index, vout in enumerate(entry["vout"]):
            expect(f"{method} redeem", vout.get("redeem"), spent.get((one, index)))
    expect("outputs that are spent in this test", len(spent) > 10, True)


def kinds(method, story, shown):
    """What the page of each kind of transaction shows besides."""
    outputs = lambda kind: shown[story[kind]]["vout"]
    first_of = lambda kind, member: next((vout[member] for vout in outputs(kind) if vout.get(member)), [{}])[0]
    for kind in story.kinds:
        story.look_for_words(method, kind, shown[story[kind]].get("tags", []))
    if "create" not in shown[story["stream"]]:
        finding(f"{method} of stream", "lacks create")
    for kind, wanted in [("issue", "issuefirst"), ("further issue", "issuemore")]:
        expect(f"{method} issue.type of {kind}", shown[story[kind]].get("issue", {}).get("type"), wanted)
        expect(f"{method} assets[].type of {kind}", first_of(kind, "assets").get("type"), wanted)
    expect(f"{method} assets[].type of sent asset", first_of("sent asset", "assets").get("type"), "transfer")
    expect(f"{method} assets[].token of sent token", first_of("sent token", "assets").get("token"), "mona")
    change = [(asset.get("name"), asset.get("qty")) for asset in shown[story["sent asset"]].get("assets", [])]
    expect(f"{method} assets of sent asset", sorted(change, key=str), [("gold", -12.34), ("gold", 12.34)])
    expect(f"{method} items[].offchain of off-chain item", first_of("off-chain item", "items").get("offchain"), True)
    expect(f"{method} items of several items", sum(len(vout.get("items", [])) for vout in outputs("several items")), 2)
    expect(f"{method} data of sent with data", first_of("sent with data", "data"), "cafe")
    expect(f"{method} data of inline data", first_of("inline data", "data"), {"text": "inside"})
    expect(
        f"{method} variable of changed variable",
        [vout["variable"]["value"] for vout in outputs("changed variable") if "variable" in vout],
        [{"now": [2]}],
    )
    expect(f"{method} permissions[].send of grant", first_of("grant", "permissions").get("send"), True)
    expect(
        f"{method} permissions[].for of grant for a stream",
        (first_of("grant for a stream", "permissions").get("for") or {}).get("name"),
        "notes",
    )
    owners = [vin.get("addresses") for vin in shown[story["exchange"]]["vin"]]
    expect(f"{method} vin of exchange", len({json.dumps(owner) for owner in owners}), 2)


def redeem_lists(story):
    """The method counts outputs: of each of the first ones, where it was spent, or null."""
    method = "explorerlistredeemtransactions"
    number = len(call("getrawtransaction", story["sent asset"], 1)["vout"])
    answer = ask(method, story["sent asset"], number)
    expect(f"{method} TXID NUMBER", isinstance(answer, list) and len(answer), number)
    for entry in answer or []:
        if entry is not None:
            read(method, entry, txid=str, vout=int)


# --- The web demo ---


def demo_pages(addresses):
    own = ask("getaddresses", True)
    for entry in listed("getaddresses", own):
        read("getaddresses", entry, address=str, ismine=bool)
    expect("getmultibalances of no address and no asset", ask("getmultibalances", [], [], 0, True), {})
    balances = ask("getmultibalances", "*", "*", 0, True) or {}
    for owner in [*addresses[:2], "total"]:
        for entry in listed("getmultibalances", balances.get(owner)):
            if entry.get("assetref") != "":
                read("getmultibalances", entry, name=str, assetref=str, qty=NUMBER)
    for locked in [True, False]:
        for entry in listed("getaddressbalances", ask("getaddressbalances", addresses[0], 0, locked)):
            if entry.get("assetref") != "":
                read("getaddressbalances", entry, name=str, qty=NUMBER)
    expect("lockunspent", ask("lockunspent", True), True)
    file = "\x00note.txt\x00text/plain\x00content".encode().hex()
    sent = confirm(call("publishfrom", addresses[0], "open notes", "", file))
    item = call("liststreamkeyitems", "open notes", "", True, 1000)[-1]
    expect("an item with an empty key", (item["txid"], item["data"]), (sent, file))
    labelled = confirm(call("publishfrom", addresses[0], "root", "", "Zürich".encode().hex()))
    labels = listed("liststreampublishers of root", ask("liststreampublishers", "root", "*", True, 10000))
    expect(
        "a label",
        [(label["publisher"], label["last"]["data"], label["last"]["txid"]) for label in labels],
        [(addresses[0], "Zürich".encode().hex(), labelled)],
    )
    issued_and_reissued(addresses[0])


def issued_and_reissued(address):
    """The demo issues and reissues with createrawsendfrom, a file beside the details."""
    create = {
        "create": "asset",
        "name": "copper",
        "multiple": 100,
        "open": True,
        "details": {"grade": "C", "@file": "2"},
    }
    confirm(call("createrawsendfrom", address, {address: {"issue": {"raw": 5000}}}, [create, "00ff"], "send"))
    more = {address: {"issuemore": {"asset": "copper", "raw": 250}}}
    confirm(call("createrawsendfrom", address, more, [{"update": "copper", "details": {"grade": "D"}}], "send"))
    copper = call("listassets", "copper", True)[0]
    expect(
        "an asset of the demo",
        (copper["issueqty"], [issue["details"].get("grade") for issue in copper["issues"]]),
        (52.5, ["C", "D"]),
    )


story, *addresses = tell()
call("pause", "mining")  # a block between two calls would change what they tell
chain_pages()
block_pages()
transaction_pages(story)
address_pages(addresses)
holder_pages(addresses)
asset_pages()
raw_transactions(story)
redeem_lists(story)
call("resume", "mining")
demo_pages(addresses)
waiting_transaction(addresses[0])
for line in findings:
    print(f"explorer: {line}")
assert not findings, f"{len(findings)} things that an explorer or the demo reads are missing or wrong"
print(f"explorer: {len(story.kinds)} kinds of transactions on every page")
