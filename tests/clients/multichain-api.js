// A workflow over multichain-api, a JavaScript client with a function for each method: no id, no params where there are
// none, the whole envelope as result, and an error member that must be null on success.
"use strict";

const assert = require("node:assert/strict");
const {node, PATIENCE, pause} = require("./expect");
const {Commands, RpcClient} = require("multichain-api");

const client = RpcClient({
    protocol: "http",
    host: node.host,
    port: Number(node.port),
    username: node.user,
    password: node.pass,
});

async function call(name, ...args) {
    const response = await client(Commands[name](...args));
    assert.deepEqual(Object.keys(response), ["result", "error", "id"]);
    assert.deepEqual([response.error, response.id], [null, null]);
    return response.result;
}

async function confirm(txid) {
    const deadline = Date.now() + PATIENCE;
    assert.match(txid, /^[0-9a-f]{64}$/);
    while (((await call("GetRawTransaction", txid, 1)).confirmations || 0) < 1) {
        assert.ok(Date.now() < deadline, `${txid} was not confirmed`);
        await pause(100);
    }
    return txid;
}

async function refused(promise, code) {
    await assert.rejects(promise, (error) => {
        assert.equal(error.response?.error.code, code, String(error));
        assert.equal(error.response.result, null);
        return true;
    });
}

async function chainAndPermissions() {
    assert.equal((await call("GetInfo")).chainname, process.env.ROTA_CHAIN);
    assert.equal((await call("GetBlockchainParams"))["chain-name"], process.env.ROTA_CHAIN);
    assert.match(await call("Help"), /getinfo/);
    const [first] = await call("GetAddresses");
    const address = await call("GetNewAddress");
    assert.equal((await call("GetAddresses", true)).length, 2);
    await confirm(await call("Grant", address, "send,receive,issue"));
    const held = await call("ListPermissions", "*", address);
    assert.deepEqual(held.map((entry) => entry.type).sort(), ["issue", "receive", "send"]);
    await confirm(await call("Revoke", address, "issue"));
    await refused(call("GrantFrom", address, address, "admin"), -704);
    assert.equal(await call("VerifyMessage", address, await call("SignMessage", address, "hello"), "hello"), true);
    return [first, address];
}

async function streams(first, address) {
    await confirm(await call("Create", "stream", "notes", false, {purpose: "test"}));
    await refused(call("ListStreamItems", "notes"), -703);
    await call("Subscribe", "notes");
    await refused(call("PublishFrom", address, "notes", "k", "00"), -704);
    await confirm(await call("Grant", address, "notes.write"));
    const published = [["hex", "abcd"], ["text", {text: "línea"}], ["json", {json: {deep: [1, {two: "2"}]}}]];
    for (const [key, data] of published) {
        await call("Publish", "notes", key, data);
    }
    const last = await call("PublishFrom", address, "notes", ["many", "keys"], "ff");
    const items = await call("ListStreamItems", "notes", true, 2147483647);
    assert.deepEqual(items.map((item) => item.data), [...published.map(([, data]) => data), "ff"]);
    assert.deepEqual(items[3].publishers, [address]);
    assert.equal((await call("GetStreamItem", "notes", last)).data, "ff");
    assert.equal((await call("ListStreamKeyItems", "notes", "keys")).length, 1);
    assert.equal((await call("ListStreamPublisherItems", "notes", address)).length, 1);
    assert.equal((await call("ListStreamKeys", "notes")).length, 5);
    const publishers = await call("ListStreamPublishers", "notes");
    assert.deepEqual(publishers.map(({publisher, items: count}) => [publisher, count]), [[first, 3], [address, 1]]);
    await confirm(last);
    const {blockhash} = await call("GetRawTransaction", last, 1);
    const {height} = await call("GetBlock", blockhash);
    const inBlock = await call("ListStreamBlockItems", "notes", String(height));
    assert.ok(inBlock.some((item) => item.txid === last));
    assert.equal((await call("ListStreams", "notes", true))[0].details.purpose, "test");
    await refused(call("Publish", "nowhere", "k", "00"), -708);
    await refused(call("Create", "stream", "notes", true), -705);
}

async function assets(first, address) {
    await confirm(await call("Issue", first, {name: "copper", open: true}, 100, 0.1, 0, {grade: "A"}));
    await confirm(await call("IssueMore", first, "copper", 20.5));
    assert.equal((await call("ListAssets", "copper", true))[0].issues.length, 2);
    await confirm(await call("SendAssetFrom", first, address, "copper", 10.1));
    const held = await call("GetAddressBalances", address);
    assert.deepEqual(held.map(({name, qty}) => [name, qty]), [["copper", 10.1]]);
    assert.equal((await call("GetMultiBalances", [address], ["copper"])).total[0].qty, 10.1);
    assert.equal((await call("GetTotalBalances")).find(({name}) => name === "copper").qty, 120.5);
    await confirm(await call("SendWithDataFrom", first, address, {copper: 1}, "cafe"));
    const [moved] = await call("ListWalletTransactions", 1);
    assert.deepEqual(moved.data, ["cafe"]);
    assert.equal((await call("ListAddressTransactions", address, 1))[0].balance.assets[0].qty, 1);
    await call("Subscribe", "copper");
    const transactions = await call("ListAssetTransactions", "copper");
    assert.equal(transactions.at(-1).addresses[address], 1);
    await refused(call("SendAssetFrom", address, first, "copper", 99), -6);
}

async function rawAndExchange(first, address) {
    const [coin] = (await call("ListUnspent", 1, 999999, [address])).filter(({assets}) => assets.length > 0);
    const inputs = [{txid: coin.txid, vout: coin.vout}];
    const built = await call("CreateRawTransaction", inputs, {[first]: {copper: 0.5}});
    const noted = await call("AppendRawData", await call("AppendRawChange", built, address), {text: "a note"});
    const signed = await call("SignRawTransaction", noted);
    assert.equal(signed.complete, true);
    await confirm(await call("SendRawTransaction", signed.hex));
    const {hex, complete} = await call("CreateRawSendFrom", first, {[address]: {copper: 3}}, [], "sign");
    assert.equal(complete, true);
    await confirm(await call("SendRawTransaction", hex));
    await confirm(await call("Issue", first, "tin", 30));
    const mine = await call("PrepareLockUnspentFrom", first, {tin: 3});
    const offer = await call("CreateRawExchange", mine.txid, mine.vout, {copper: 2});
    assert.equal((await call("DecodeRawExchange", offer)).complete, false);
    const theirs = await call("PrepareLockUnspentFrom", address, {copper: 2});
    const swap = await call("AppendRawExchange", offer, theirs.txid, theirs.vout, {tin: 3});
    assert.equal(swap.complete, true);
    await confirm(await call("SendRawTransaction", swap.hex));
    assert.equal((await call("GetAddressBalances", address)).find(({name}) => name === "tin").qty, 3);
}

async function main() {
    const [first, address] = await chainAndPermissions();
    await streams(first, address);
    await assets(first, address);
    await rawAndExchange(first, address);
    await refused(call("GetBlockHash", 1_000_000), -711);
    await refused(client({method: "nonsense"}), -32601);
    console.log("multichain-api: the whole workflow passed");
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
