// A workflow over generalised-multichain-node, a JavaScript client that keeps values as JSON in hexadecimal: publish
// encodes, liststreamkeyitems decodes the newest item, and whatever is left out goes over the wire as a default.
"use strict";

const assert = require("node:assert/strict");
const {node, PATIENCE, pause} = require("./expect");
const {promisify} = require("node:util");

const library = require("generalised-multichain-node")(node);
const call = (name, args) => promisify(library[name])(args);

async function confirm(txid) {
    const deadline = Date.now() + PATIENCE;
    assert.match(txid, /^[0-9a-f]{64}$/);
    while (((await call("getRawTransaction", {txid, verbose: 1})).confirmations || 0) < 1) {
        assert.ok(Date.now() < deadline, `${txid} was not confirmed`);
        await pause(100);
    }
    return txid;
}

async function refused(promise, code) {
    await assert.rejects(promise, (error) => {
        assert.equal(error.code, code, JSON.stringify(error));
        return true;
    });
}

async function chainAndPermissions() {
    assert.equal((await call("getInfo")).chainname, process.env.ROTA_CHAIN);
    assert.equal((await call("getBlockchainParams", {}))["chain-name"], process.env.ROTA_CHAIN);
    const [{address: first}] = await call("getAddresses", {verbose: true});
    const address = await call("getNewAddress");
    await confirm(await call("grant", {addresses: address, permissions: "send,receive,create"}));
    await confirm(await call("revoke", {addresses: address, permissions: "create"}));
    const held = await call("listPermissions", {addresses: address});
    assert.deepEqual(held.map((entry) => entry.type).sort(), ["receive", "send"]);
    await refused(call("grantFrom", {from: address, to: address, permissions: "admin"}), -704);
    return [first, address];
}

async function streams(first) {
    await confirm(await call("create", {type: "stream", name: "records", open: true}));
    await call("subscribe", {stream: "records"});
    const values = [{name: "zoë", visits: 1}, {name: "zoë", visits: 2, notes: ["a", null]}];
    for (const data of values) {
        await call("publish", {stream: "records", key: "zoë", data});
    }
    // With a from-address it is the key that the library encodes.
    const last = await call("publishFrom", {from: first, stream: "records", key: "other", data: "0a"});
    const newest = await call("listStreamKeyItems", {stream: "records", key: "zoë"});
    assert.deepEqual(newest.data, values[1]);
    const items = await call("listStreamItems", {stream: "records", verbose: true, count: 100, start: 0});
    const stored = (value) => Buffer.from(JSON.stringify(value), "utf8").toString("hex");
    assert.deepEqual(items.map((item) => item.data), [...values.map(stored), "0a"]);
    const keys = await call("listStreamKeys", {stream: "records"});
    assert.deepEqual(keys.map(({key, items: count}) => [key, count]), [["zoë", 2], [stored("other"), 1]]);
    assert.equal((await call("listStreamPublishers", {stream: "records"}))[0].publisher, first);
    assert.equal((await call("getStreamItem", {stream: "records", txid: last})).txid, last);
    assert.equal((await call("listStreams", {}))[0].name, "root");
    await confirm(last);
    await refused(call("publish", {stream: "nowhere", key: "k", data: 1}), -708);
    await refused(call("create", {type: "stream", name: "records", open: true}), -705);
}

async function assets(first, address) {
    await confirm(await call("issue", {address: first, asset: {name: "copper", open: true}, qty: 100, units: 0.1}));
    await confirm(await call("issueMore", {address: first, asset: "copper", qty: 20.5}));
    assert.equal((await call("listAssets", {asset: "copper"}))[0].issueqty, 120.5);
    await confirm(await call("sendAssetFrom", {from: first, to: address, asset: "copper", qty: 10.1}));
    const held = await call("getAddressBalances", {address});
    assert.deepEqual(held.map(({name, qty}) => [name, qty]), [["copper", 10.1]]);
    assert.equal((await call("getTotalBalances", {}))[0].qty, 120.5);
    assert.equal((await call("listWalletTransactions", {})).length, 10);
    assert.ok((await call("listAddressTransactions", {address})).length >= 2);
    await refused(call("sendAssetFrom", {from: address, to: first, asset: "copper", qty: 99}), -6);
}

async function rawAndExchange(first, address) {
    const [coin] = (await call("listUnspent", {receivers: [address]})).filter((coin) => coin.assets.length > 0);
    const inputs = [{txid: coin.txid, vout: coin.vout}];
    const built = await call("createRawTransaction", {inputs, amounts: {[first]: {copper: 1}}});
    const hexstring = await call("appendRawChange", {hexstring: built, address});
    const signed = await call("signRawTransaction", {hexstring});
    assert.equal(signed.complete, true);
    await confirm(await call("sendRawTransaction", {hexstring: signed.hex}));
    await confirm(await call("issue", {address: first, asset: "tin", qty: 30}));
    const mine = await call("prepareLockUnspentFrom", {from: first, assets: {tin: 3}});
    const offer = await call("createRawExchange", {...mine, assets: {copper: 2}});
    const theirs = await call("prepareLockUnspentFrom", {from: address, assets: {copper: 2}});
    const swap = await call("appendRawExchange", {hexstring: offer, ...theirs, assets: {tin: 3}});
    assert.equal(swap.complete, true);
    await confirm(await call("sendRawTransaction", {hexstring: swap.hex}));
    assert.equal((await call("getAddressBalances", {address})).find(({name}) => name === "tin").qty, 3);
}

async function main() {
    const [first, address] = await chainAndPermissions();
    await streams(first);
    await assets(first, address);
    await rawAndExchange(first, address);
    await refused(call("getBlockHash", {height: 1_000_000}), -711);
    console.log("generalised-multichain-node: the whole workflow passed");
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
