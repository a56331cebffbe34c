"""A workflow over python-bitcoinrpc, which applications of MultiChain use too: one connection for everything, batches,
exact decimals, and no answer but one whose content type is application/json to the letter."""

from decimal import Decimal

from bitcoinrpc.authproxy import AuthServiceProxy, JSONRPCException

from expect import CHAIN, HOST, PASSWORD, PORT, USER, confirm, same, txid

api = AuthServiceProxy(f"http://{USER}:{PASSWORD}@{HOST}:{PORT}")


def refused(call, code, what):
    try:
        answer = call()
    except JSONRPCException as error:
        same(error.code, code, what)
        assert error.message, what
    else:
        raise AssertionError(f"{what}: {answer!r}")


def batches(first):
    answers = api.batch_([["getinfo"], ["getblockhash", 0], ["validateaddress", first]])
    same(answers[0]["chainname"], CHAIN, "the first of a batch")
    same(answers[1], api.getblockhash(0), "the second of a batch")
    same(answers[2]["address"], first, "the third of a batch")
    refused(
        lambda: api.batch_([["getinfo"], ["getblockhash", 10**6], ["nonsense"]]), -711, "a batch with a failing member"
    )
    same(api.batch_([]), [], "an empty batch")
    many = api.batch_([["getblockhash", 0] for _ in range(500)])
    same(set(many), {api.getblockhash(0)}, "a batch of many")


def streams(first):
    confirm(api, api.create("stream", "notes", {"restrict": "write"}))
    refused(lambda: api.liststreamitems("notes"), -703, "a stream that is not subscribed")
    refused(lambda: api.create("stream", "notes", True), -705, "a name that is taken")
    refused(lambda: api.publish("nowhere", "k", "00"), -708, "an unknown stream")
    api.subscribe("notes")
    exact = Decimal("1.00000001")
    sent = [
        txid(answer)
        for answer in api.batch_([["publish", "notes", f"k{n}", {"json": {"n": n, "exact": exact}}] for n in range(20)])
    ]
    same(len(set(sent)), 20, "items published in a batch")
    same([item["txid"] for item in api.liststreamitems("notes", True, 2147483647)], sent, "items in their order")
    same(api.liststreamkeyitems("notes", "k7")[0]["data"], {"json": {"n": 7, "exact": exact}}, "an item by key")
    same(len(api.liststreamkeys("notes", ["k1", "k2"])), 2, "keys")
    same([p["publisher"] for p in api.liststreampublishers("notes")], [first], "publishers")
    large = "ab" * 150_000
    sent = api.publish("notes", "large", large)
    confirm(api, sent)
    item = api.liststreamkeyitems("notes", "large", True)[0]
    same((item["data"]["size"], item["data"]["txid"]), (150_000, sent), "a large item is shown as a reference")
    same(api.gettxoutdata(sent, item["vout"]), large, "a large item")


def assets(first):
    address = api.getnewaddress()
    confirm(api, api.grant(address, "receive,send"))
    confirm(api, api.issue(first, "gold", 1000, 0.01))
    confirm(api, api.sendasset(address, "gold", Decimal("12.34")))
    same([(b["name"], b["qty"]) for b in api.getaddressbalances(address)], [("gold", Decimal("12.34"))], "a balance")
    inside = api.createrawsendfrom(address, {first: {"gold": Decimal("0.34")}}, [], "send")
    confirm(api, inside)
    same(api.getaddressbalances(address)[0]["qty"], 12, "a balance after createrawsendfrom")
    same(api.getwallettransaction(inside)["txid"], inside, "a transaction of the wallet")
    refused(lambda: api.sendassetfrom(address, first, "gold", 100), -6, "more than there is")
    refused(lambda: api.sendasset(address, "nonsense", 1), -708, "an unknown asset")


first = api.getaddresses()[0]
refused(lambda: api.nonsense(), -32601, "an unknown method")
batches(first)
streams(first)
assets(first)
print("python-bitcoinrpc: the whole workflow passed")
