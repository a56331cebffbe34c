// A whole workflow over multichain-node, a JavaScript client: named parameters, many of them null, results as promises,
// the error member as rejection.
"use strict";

const assert = require("node:assert/strict");
const {node, PATIENCE, pause} = require("./expect");
const multichain = require("multichain-node")(node);

async function confirm(...txids) {
    const deadline = Date.now() + PATIENCE;
    for (const txid of txids) {
        assert.match(txid, /^[0-9a-f]{64}$/);
        while (((await multichain.getRawTransaction({txid, verbose: 1})).confirmations || 0) < 1) {
            assert.ok(Date.now() < deadline, `${txid} was not confirmed`);
            await pause(200);
        }
    }
}

async function refused(promise, code) {
    await assert.rejects(promise, (error) => {
        assert.equal(error.code, code, JSON.stringify(error));
        return true;
    });
}

async function chainAndPermissions() {
    assert.equal((await multichain.getInfo()).chainname, process.env.ROTA_CHAIN);
    assert.equal((await multichain.getBlockchainParams())["chain-name"], process.env.ROTA_CHAIN);
    const [first] = await multichain.getAddresses();
    const address = await multichain.getNewAddress();
    await confirm(await multichain.grant({addresses: address, permissions: "send,receive,issue"}));
    const held = await multichain.listPermissions({addresses: address});
    assert.deepEqual(held.map((entry) => entry.type).sort(), ["issue", "receive", "send"]);
    await confirm(await multichain.revoke({addresses: address, permissions: "issue"}));
    await refused(multichain.grantFrom({from: address, to: address, permissions: "admin"}), -704);
    return [first, address];
}

async function streams(address) {
    const open = true;
    await multichain.create({type: "stream", name: "javascript", open, details: {purpose: "test"}});
    await multichain.subscribe({stream: "javascript"});
    await multichain.publish({stream: "javascript", key: "hex", data: "abcd"});
    await multichain.publish({stream: "javascript", key: "text", data: {text: "línea"}});
    const last = await multichain.publishFrom({
        from: address, stream: "javascript", key: "json", data: {json: {deep: [1, {two: "2"}]}},
    });
    const items = await multichain.listStreamItems({stream: "javascript"});
    assert.deepEqual(items.map((item) => item.data), ["abcd", {text: "línea"}, {json: {deep: [1, {two: "2"}]}}]);
    assert.deepEqual(items[2].publishers, [address]);
    assert.equal((await multichain.listStreamKeyItems({stream: "javascript", key: "hex"})).length, 1);
    assert.equal((await multichain.listStreamPublisherItems({stream: "javascript", address})).length, 1);
    assert.equal((await multichain.listStreamKeys({stream: "javascript"})).length, 3);
    assert.equal((await multichain.listStreamPublishers({stream: "javascript"})).length, 2);
    assert.equal((await multichain.listStreams({stream: "javascript", verbose: true}))[0].details.purpose, "test");
    await confirm(last);
    await refused(multichain.publish({stream: "nowhere", key: "k", data: "00"}), -708);
    await refused(multichain.create({type: "stream", name: "javascript", open}), -705);
}

async function assets(first, address) {
    await confirm(await multichain.issue({
        address: first, asset: {name: "copper", open: true}, qty: 100, units: 0.1, details: {grade: "A"},
    }));
    await confirm(await multichain.issueMore({address: first, asset: "copper", qty: 20.5}));
    const [copper] = await multichain.listAssets({asset: "copper"});
    assert.equal(copper.issueqty, 120.5);
    await confirm(await multichain.sendAssetFrom({from: first, to: address, asset: "copper", qty: 10.1}));
    const held = await multichain.getAddressBalances({address});
    assert.deepEqual(held.map(({name, qty}) => [name, qty]), [["copper", 10.1]]);
    const all = await multichain.getMultiBalances({addresses: [address], assets: ["copper"]});
    assert.equal(all.total[0].qty, 10.1);
    await refused(multichain.sendAssetFrom({from: address, to: first, asset: "copper", qty: 99}), -6);
}

async function rawAndExchange(first, address) {
    const inputs = (await multichain.listUnspent({receivers: [address]}))
        .filter((coin) => coin.assets.length > 0)
        .map(({txid, vout}) => ({txid, vout}));
    const built = await multichain.createRawTransaction({inputs, amounts: {[first]: {copper: 1}}});
    const hexstring = await multichain.appendRawChange({hexstring: built, address});
    const signed = await multichain.signRawTransaction({hexstring});
    assert.equal(signed.complete, true);
    await confirm(await multichain.sendRawTransaction({hexstring: signed.hex}));
    await confirm(await multichain.issue({address: first, asset: "tin", qty: 30}));
    const mine = await multichain.prepareLockUnspentFrom({from: first, assets: {tin: 3}});
    const offer = await multichain.createRawExchange({...mine, assets: {copper: 2}});
    const theirs = await multichain.prepareLockUnspentFrom({from: address, assets: {copper: 2}});
    const swap = await multichain.appendRawExchange({hexstring: offer, ...theirs, assets: {tin: 3}});
    assert.equal(swap.complete, true);
    await confirm(await multichain.sendRawTransaction({hexstring: swap.hex}));
    const held = await multichain.getAddressBalances({address});
    assert.equal(held.find(({name}) => name === "tin").qty, 3);
}

async function main() {
    const [first, address] = await chainAndPermissions();
    await streams(address);
    await assets(first, address);
    await rawAndExchange(first, address);
    await refused(multichain.getBlockHash({height: 1_000_000}), -711);
    console.log("multichain-node: the whole workflow passed");
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
