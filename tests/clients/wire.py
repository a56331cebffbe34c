"""The habits of clients on the wire, one by one, over plain sockets: what is sent byte for byte, and what has to come
back. Each habit is one that some library or application has."""

import base64
import http.client
import json
import re
import socket
import urllib.request
from decimal import Decimal

from expect import CHAIN, HOST, PASSWORD, PORT, USER, confirm, same, txid

BASIC = "Authorization: Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
TIMEOUT = 30  # seconds until an answer counts as missing
LARGEST_COUNT = 2147483647
ENVELOPE = ["result", "error", "id"]
CALL = '{"method":"getblockcount","params":[],"id":1}'

HABITS = []


def habit(function):
    HABITS.append(function)
    return function


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def values(self, name):
        return [value for known, value in self.headers if known.lower() == name]

    @property
    def json(self):
        return json.loads(self.body, parse_float=Decimal)

    @property
    def verdict(self):
        """Status, code of the error and id."""
        return self.status, self.json["error"] and self.json["error"]["code"], self.json["id"]


class Wire:
    """One connection."""

    def __init__(self):
        self.socket = socket.create_connection((HOST, int(PORT)), TIMEOUT)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def send(self, text):
        self.socket.sendall(text.encode())

    def answer(self):
        status = int(self.file.readline().split()[1])
        headers = []
        while line := self.file.readline().rstrip(b"\r\n"):
            name, value = line.decode().split(": ", 1)
            headers.append((name, value))
        answer = Answer(status, headers, b"")
        same(answer.values("transfer-encoding"), [], "no body in chunks")
        same(len(answer.values("content-length")), 1, "one Content-Length")
        answer.body = self.file.read(int(answer.values("content-length")[0]))
        return answer

    def ended(self):
        return self.file.read(1) == b""

    def post(self, body, *headers, **form):
        self.send(head_of(body, *headers, **form) + body)
        return self.answer()


def head_of(body, *headers, line="POST / HTTP/1.1", host="Host: 127.0.0.1", basic=BASIC):
    """Everything before a body; without credentials if `basic` is nothing."""
    length = f"Content-Length: {len(body.encode())}"
    return "\r\n".join([line, *filter(None, [host, basic]), *headers, length, "", ""])


def post(body, *headers, **form):
    with Wire() as wire:
        return wire.post(body, *headers, **form)


def call(method, *params):
    answer = post(json.dumps({"method": method, "params": params, "id": 1}))
    same(answer.status, 200, f"{method}: {answer.body[:500]}")
    return answer.json["result"]


class Api:
    def __getattr__(self, method):
        return lambda *params: call(method, *params)


api = Api()


def check_form(answer):
    """What every envelope has in common."""
    same(answer.values("content-type"), ["application/json"], "content type to the letter")
    same(list(answer.json), ENVELOPE, "members in their order")
    outside_strings = re.sub(r'"(?:[^"\\]|\\.)*"', "", answer.body.decode())
    assert not re.search(r"\s(?!\Z)", outside_strings), f"compact JSON: {answer.body[:200]}"


def fine(answer, wanted_id=1):
    same(answer.verdict, (200, None, wanted_id), answer.body[:300])
    check_form(answer)
    return answer.json["result"]


@habit
def a_result_has_null_as_error_and_a_length():
    answer = post(CALL)
    assert isinstance(fine(answer), int)
    same(answer.body.decode().rstrip("\n"), f'{{"result":{answer.json["result"]},"error":null,"id":1}}', "all of it")


@habit
def ids_of_every_kind_come_back_or_null_stands_for_them():
    for text in [
        "1",
        "-7",
        "0",
        "1732800000000",
        '"a"',
        '"1732800000000-0"',
        '"6fa459ea-ee8a-3ca4-894e-db77e160355e"',
        '""',
        "null",
        '"ключ"',
    ]:
        fine(post(f'{{"id":{text},"method":"getblockcount"}}'), json.loads(text))
    fine(post('{"method":"getblockcount"}'), None)


@habit
def every_version_and_further_members_are_taken():
    for members in [
        '"jsonrpc":"2.0"',
        '"jsonrpc":"1.0"',
        '"version":"1.1"',
        '"version":"2.0"',
        '"version":"1.0.0.dev"',
        f'"chain_name":"{CHAIN}"',
        f'"chain_name":"{CHAIN}","version":"1.1","jsonrpc":"2.0"',
        '"more":[{}]',
    ]:
        fine(post(f'{{{members},"method":"getblockcount","params":[],"id":1}}'))


@habit
def params_may_be_a_list_null_or_absent_but_no_object():
    for members in ['"params":[],', '"params":null,', ""]:
        fine(post(f'{{{members}"method":"getblockcount","id":1}}'))
    for params in ["{}", '{"verbose":true}', '"text"', "5"]:
        answer = post(f'{{"params":{params},"method":"getblockcount","id":9}}')
        same(answer.verdict, (400, -32600, 0), params)
        check_form(answer)


@habit
def a_method_that_is_missing_or_no_text_is_an_invalid_request():
    for body in ['{"id":9}', '{"method":null,"id":9}', '{"method":5,"id":9}', '{"method":["getinfo"],"id":9}', "{}"]:
        answer = post(body)
        same(answer.verdict, (400, -32600, 0), body)
        check_form(answer)


@habit
def what_is_not_json_is_a_parse_error():
    for body in [
        "",
        " ",
        "getinfo",
        "{",
        '{"method":"getinfo"',
        "{'method':'getinfo'}",
        "method=getinfo&id=1",
        "\ufeff{}",
    ]:
        answer = post(body)
        same(answer.verdict[:2], (500, -32700), body)
        check_form(answer)


@habit
def errors_have_their_status_and_the_envelope_as_body():
    for method, params, status, code in [
        ("nonsense", [], 404, -32601),
        ("getblockhash", [10**6], 500, -711),
        ("getblockhash", [], 500, -1),
        ("publish", ["nowhere", "k", "00"], 500, -708),
        ("liststreamitems", ["root-to-be"], 500, -708),
        ("create", ["stream", "root", True], 500, -705),
        ("decoderawtransaction", ["zz"], 500, -22),
        ("validateaddress", [], 500, -1),
        ("explorerlisttransactions", [], 500, -702),
    ]:
        answer = post(json.dumps({"method": method, "params": params, "id": "e"}))
        same(answer.verdict, (status, code, "e"), method)
        check_form(answer)
        same(answer.json["result"], None, method)
        assert answer.json["error"]["message"], method


@habit
def a_first_request_without_credentials_leaves_the_connection_usable():
    with Wire() as wire:
        for body in [CALL, CALL, json.dumps({"method": "getinfo", "params": ["x" * 300_000]})]:
            answer = wire.post(body, basic=None)
            same((answer.status, answer.body), (401, b""), "no credentials")
            same(answer.values("www-authenticate"), ['Basic realm="jsonrpc"'], "what is asked for")
            assert "close" not in [value.lower() for value in answer.values("connection")], "the connection stays"
        for _ in range(2):
            fine(wire.post(CALL))


@habit
def wrong_credentials_are_401_with_an_empty_body():
    wrong = base64.b64encode(f"{USER}:wrong".encode()).decode()
    for value in [f"Basic {wrong}", f"{USER}:{PASSWORD}", "Basic", "Bearer abc"]:
        with Wire() as wire:
            answer = wire.post(CALL, f"Authorization: {value}", basic=None)
            same((answer.status, answer.body), (401, b""), value)
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(Realm()))
    with opener.open(f"http://{HOST}:{PORT}/", CALL.encode(), TIMEOUT) as reply:
        same(json.loads(reply.read())["error"], None, "a client that answers the challenge")


class Realm(urllib.request.HTTPPasswordMgr):
    """Knows the password of the one realm that a node may name."""

    def find_user_password(self, realm, authuri):
        return (USER, PASSWORD) if realm == "jsonrpc" else (None, None)


@habit
def content_type_accept_and_user_agent_do_not_matter():
    for headers in [
        [],
        ["Content-Type: application/json"],
        ["Content-Type: application/json; charset=utf-8", "Accept: application/json"],
        ["Content-Type: text/plain; charset=UTF-8", "Accept: */*"],
        ["Content-Type: text/plain;", "Accept: text/html, image/gif, *; q=.2"],
        ["Content-Type: application/x-www-form-urlencoded", "Accept-Encoding: gzip, deflate, br"],
        ["Content-Type: application/json-rpc", "User-Agent: one", "User-Agent: two"],
        ["Pragma: no-cache", "Cache-Control: no-cache", "Origin: null", "Cookie: a=b"],
    ]:
        answer = post(CALL, *headers)
        fine(answer)
        same(answer.values("content-encoding"), [], "a reply that is not compressed")


@habit
def a_host_may_lack_its_port_or_be_another_name():
    for host in ["Host: 127.0.0.1", f"Host: 127.0.0.1:{PORT}", "Host: localhost", "Host: node.example", "host: x"]:
        fine(post(CALL, host=host))


@habit
def http_1_0_gets_one_answer_and_an_end():
    for host in [None, "Host: 127.0.0.1"]:
        with Wire() as wire:
            fine(wire.post(CALL, line="POST / HTTP/1.0", host=host))
            assert wire.ended(), "the connection ends after the answer"


@habit
def who_reads_to_the_end_gets_one():
    for header in ["Connection: close", "Connection: Close"]:
        with Wire() as wire:
            wire.send(head_of(CALL, header) + CALL)
            head, _, body = wire.file.read().partition(b"\r\n\r\n")
            same(json.loads(body)["error"], None, "everything up to the end of the connection")
            assert f"content-length: {len(body)}" in head.decode().lower().splitlines(), head


@habit
def one_connection_serves_many_requests_also_unread_ones():
    with Wire() as wire:
        for number in range(200):
            fine(wire.post(f'{{"method":"getblockcount","id":{number}}}', "Connection: Keep-Alive"), number)
        bodies = [f'{{"method":"getblockcount","id":"{number:03}"}}' for number in range(50)]
        wire.send("".join(head_of(body) + body for body in bodies))
        for number in range(50):
            fine(wire.answer(), f"{number:03}")
    connection = http.client.HTTPConnection(HOST, int(PORT), TIMEOUT)
    for number in range(20):
        connection.request("POST", "/", CALL, {"Authorization": BASIC.split(": ")[1]})
        same(json.loads(connection.getresponse().read())["id"], 1, f"request {number} of the standard library")
    connection.close()


@habit
def a_body_may_come_in_pieces_or_after_leave():
    with Wire() as wire:
        wire.send(head_of(CALL) + CALL[:7])
        wire.send(CALL[7:])
        fine(wire.answer())
        wire.send(f"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n{BASIC}\r\nTransfer-Encoding: chunked\r\n\r\n")
        wire.send(f"{len(CALL):x}\r\n{CALL}\r\n0\r\n\r\n")
        fine(wire.answer())
        wire.send(head_of(CALL, "Expect: 100-continue"))
        same(wire.file.readline().split()[1], b"100", "leave to send")
        same(wire.file.readline(), b"\r\n", "nothing else before the body")
        wire.send(CALL)
        fine(wire.answer())


@habit
def batches_are_answered_in_order_with_200():
    answer = post("[]")
    same((answer.status, answer.json), (200, []), "an empty batch")
    same(answer.values("content-type"), ["application/json"], "content type of a batch")
    members = [
        '{"method":"getblockcount","id":1}',
        '{"method":"nonsense","id":"n"}',
        '{"method":"getblockhash","params":[1000000]}',
        '{"method":"getblockcount","params":{},"id":4}',
        "5",
        '{"jsonrpc":"2.0","method":"getinfo","params":[],"id":6}',
    ]
    answer = post(f"[{','.join(members)}]", "Content-Type: application/json")
    same(answer.status, 200, "a batch with failing members")
    same([list(reply) for reply in answer.json], [ENVELOPE] * 6, "members in their order")
    codes = [reply["error"] and reply["error"]["code"] for reply in answer.json]
    same(codes, [None, -32601, -711, -32600, -32600, None], "codes of a batch")
    same([answer.json[n]["id"] for n in (0, 1, 2, 5)], [1, "n", None, 6], "ids of a batch")
    same(answer.json[5]["result"]["chainname"], CHAIN, "the last of a batch")
    many = post(json.dumps([{"method": "getblockhash", "params": [0], "id": n} for n in range(1000)]))
    same([reply["id"] for reply in many.json], list(range(1000)), "a batch of a thousand")


@habit
def other_methods_and_paths_have_empty_bodies():
    for line, status in [
        ("GET / HTTP/1.1", 405),
        ("PUT / HTTP/1.1", 405),
        ("GET /favicon.ico HTTP/1.1", 404),
        ("POST /rest HTTP/1.1", 404),
        ("POST /wallet/x HTTP/1.1", 404),
    ]:
        answer = post("", line=line)
        same((answer.status, answer.body), (status, b""), line)
    fine(post(CALL, line="POST / HTTP/1.1"))


@habit
def requests_of_300_kilobytes_and_replies_of_megabytes():
    confirm(api, call("create", "stream", "large", True))
    call("subscribe", "large")
    call("setruntimeparam", "maxshowndata", 2 * 10**6)
    data = "0123456789abcdef" * 18_750
    sent = [txid(call("publish", "large", f"k{n}", data)) for n in range(12)]
    text = "ß" * 150_000
    sent.append(txid(call("publish", "large", "text", {"text": text})))
    everything = json.dumps({"method": "liststreamitems", "params": ["large", False, LARGEST_COUNT], "id": 1})
    answer = post(everything)
    items = fine(answer)
    assert len(answer.body) > 3_600_000, f"a reply of {len(answer.body)} bytes"
    same([item["txid"] for item in items], sent, "items in their order")
    same([item["data"] for item in items], [data] * 12 + [{"text": text}], "data of items")
    with Wire() as wire:
        wire.send(head_of(everything, "Connection: close") + everything)
        body = wire.file.read().partition(b"\r\n\r\n")[2]
        same(len(json.loads(body)["result"]), 13, "megabytes read to the end of the connection")


@habit
def the_largest_count_means_everything():
    call("create", "stream", "counted", True)
    call("subscribe", "counted")
    for n in range(15):
        call("publish", "counted", f"k{n}", "00")
    address = call("getaddresses")[0]
    for method, params, wanted in [
        ("liststreamitems", ["counted", False], 15),
        ("liststreamkeyitems", ["counted", "k3", False], 1),
        ("liststreampublisheritems", ["counted", address, False], 15),
        ("liststreamkeys", ["counted", "*", False], 15),
        ("liststreampublishers", ["counted", "*", False], 1),
    ]:
        same(len(call(method, *params, LARGEST_COUNT)), wanted, method)
        same(len(call(method, *params, LARGEST_COUNT, 0)), wanted, f"{method} from the first")
        same(len(call(method, *params, LARGEST_COUNT, -LARGEST_COUNT)), wanted, f"{method} from the last")
    assert len(call("listwallettransactions", LARGEST_COUNT)) >= 17, "transactions of the wallet"
    assert len(call("listaddresstransactions", address, LARGEST_COUNT)) >= 17, "transactions of an address"
    same(len(call("liststreams", "*", False, LARGEST_COUNT)), len(call("liststreams")), "streams")
    same(len(call("liststreamitems", "counted", False, 4, -6)), 4, "a page from the end")


@habit
def text_beyond_ascii_passes_in_every_form():
    call("create", "stream", "text", True)
    call("subscribe", "text")
    for key, body in [("plain", "Zürich 東京 🙂"), ("escaped", "\\u005a\\u00fcrich \\u6771\\u4eac \\ud83d\\ude42")]:
        answer = post(
            '{"method":"publish","params":["text","' + key + '",{"text":"' + body + '"}],"id":1}',
            "Content-Type: text/plain; charset=UTF-8",
        )
        txid(fine(answer))
    items = call("liststreamitems", "text")
    same([item["data"] for item in items], [{"text": "Zürich 東京 🙂"}] * 2, "text as it was sent")


@habit
def one_request_per_connection_a_hundred_times():
    for number in range(100):
        fine(post(f'{{"method":"getblockcount","id":{number}}}', "Connection: close"), number)


for check in HABITS:
    try:
        check()
    except Exception as error:
        raise AssertionError(f"{check.__name__.replace('_', ' ')}: {error}") from error
print(f"wire: {len(HABITS)} habits met")
