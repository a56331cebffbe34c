// A workflow over multichain, a JavaScript client made from one for Bitcoin: callbacks, a connection for each call, no
// content type, a Host without its port, batches whose answers come one callback each.
"use strict";

const assert = require("node:assert/strict");
const {node, PATIENCE, pause} = require("./expect");
const client = new (require("multichain").Client)(node);

// A method that the library has a name for, and one that it has not.
const own = (name, ...args) => new Promise((resolve, reject) =>
    client[name](...args, (error, result, headers) => error ? reject(error) : resolve({result, headers})));
const call = async (name, ...args) => (await own(name, ...args)).result;
const cmd = (method, ...args) => new Promise((resolve, reject) =>
    client.cmd(method, ...args, (error, result) => error ? reject(error) : resolve(result)));

// Answers of a batch in their order; an error stands for the answer of its member.
const batch = (calls) => new Promise((resolve) => {
    const answers = [];
    client.cmd(calls, (error, result) => {
        answers.push(error || result);
        if (answers.length === calls.length) {
            resolve(answers);
        }
    });
});

async function confirm(txid) {
    const deadline = Date.now() + PATIENCE;
    assert.match(txid, /^[0-9a-f]{64}$/);
    while (((await call("getRawTransaction", txid, 1)).confirmations || 0) < 1) {
        assert.ok(Date.now() < deadline, `${txid} was not confirmed`);
        await pause(100);
    }
    return txid;
}

async function refused(promise, code) {
    await assert.rejects(promise, (error) => {
        assert.equal(error.code, code, String(error));
        return true;
    });
}

async function chainAndPermissions() {
    const {result, headers} = await own("getInfo");
    assert.equal(result.chainname, process.env.ROTA_CHAIN);
    assert.equal(headers["content-type"], "application/json");
    assert.equal((await call("getBlockchainInfo")).chainname, process.env.ROTA_CHAIN);
    assert.equal(await call("getBlockHash", 0), (await call("getBlock", "0")).hash);
    assert.deepEqual(await call("getPeerInfo"), []);
    const [first] = await cmd("getaddresses");
    const address = await call("getNewAddress");
    assert.equal((await call("validateAddress", address)).ismine, true);
    assert.equal(await call("verifyMessage", address, await call("signMessage", address, "hello"), "hello"), true);
    await confirm(await cmd("grant", address, "send,receive"));
    const held = await cmd("listpermissions", "send,receive", address);
    assert.deepEqual(held.map((entry) => entry.type).sort(), ["receive", "send"]);
    await refused(cmd("grantfrom", address, address, "admin"), -704);
    return [first, address];
}

async function batches() {
    const answers = await batch([
        {method: "getblockhash", params: [0]},
        {method: "nonsense", params: []},
        {method: "getblockhash", params: [1_000_000]},
        {method: "getinfo", params: []},
    ]);
    assert.equal(answers[0], await call("getBlockHash", 0));
    assert.deepEqual([answers[1].code, answers[2].code], [-32601, -711]);
    assert.equal(answers[3].chainname, process.env.ROTA_CHAIN);
}

async function streams(first) {
    await confirm(await cmd("create", "stream", "notes", true, {purpose: "test"}));
    await cmd("subscribe", "notes");
    const published = [
        ["hex", "abcd"], ["text", {text: "plain"}], ["json", {json: {deep: [1, {two: "2"}]}}],
    ];
    let last;
    for (const [key, data] of published) {
        last = await cmd("publishfrom", first, "notes", key, data);
    }
    const items = await cmd("liststreamitems", "notes", true, 2147483647);
    assert.deepEqual(items.map((item) => [item.keys[0], item.data]), published);
    assert.deepEqual((await cmd("liststreamkeyitems", "notes", "text")).length, 1);
    assert.deepEqual((await cmd("liststreamkeys", "notes")).map((entry) => entry.items), [1, 1, 1]);
    assert.equal((await cmd("liststreampublishers", "notes", "*", true))[0].last.txid, last);
    await confirm(last);
    await refused(cmd("publish", "nowhere", "k", "00"), -708);
    await refused(cmd("create", "stream", "notes", true), -705);
}

async function assets(first, address) {
    await confirm(await cmd("issue", first, {name: "copper", open: true}, 100, 0.1));
    await confirm(await cmd("sendasset", address, "copper", 10.1));
    const held = await cmd("getaddressbalances", address);
    assert.deepEqual(held.map(({name, qty}) => [name, qty]), [["copper", 10.1]]);
    const [coin] = (await call("listUnspent", 1, 999999, [address])).filter((coin) => coin.assets.length > 0);
    const inputs = [{txid: coin.txid, vout: coin.vout}];
    const built = await call("createRawTransaction", inputs, {[first]: {copper: 1}});
    const noted = await call("appendRawMetadata", await cmd("appendrawchange", built, address), "6e6f7465");
    const signed = await call("signRawTransaction", noted);
    assert.equal(signed.complete, true);
    const decoded = await call("decodeRawTransaction", signed.hex);
    assert.deepEqual(decoded.vout.flatMap((out) => out.data || []), ["6e6f7465"]);
    const sent = await confirm(await call("sendRawTransaction", signed.hex));
    assert.equal((await call("getTransaction", sent)).txid, sent);
    assert.equal((await cmd("getaddressbalances", address))[0].qty, 9.1);
    await refused(cmd("sendassetfrom", address, first, "copper", 99), -6);
}

async function exchange(first, address) {
    await confirm(await cmd("issue", first, "tin", 30));
    const mine = await call("prepareLockUnspentFrom", first, {tin: 3});
    assert.deepEqual((await call("listLockUnspent")).map(({txid, vout}) => ({txid, vout})), [mine]);
    const offer = await cmd("createrawexchange", mine.txid, mine.vout, {copper: 2});
    const theirs = await call("prepareLockUnspentFrom", address, {copper: 2});
    const swap = await cmd("appendrawexchange", offer, theirs.txid, theirs.vout, {tin: 3});
    assert.equal(swap.complete, true);
    await confirm(await call("sendRawTransaction", swap.hex));
    assert.equal((await cmd("getaddressbalances", address)).find(({name}) => name === "tin").qty, 3);
}

async function main() {
    const [first, address] = await chainAndPermissions();
    await batches();
    await streams(first);
    await assets(first, address);
    await exchange(first, address);
    await refused(cmd("nonsense"), -32601);
    console.log("multichain (JavaScript): the whole workflow passed");
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
