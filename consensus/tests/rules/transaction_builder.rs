//! Parties who sign, and transactions that read as sentences.

use rota_chain::amount::Amount;
use rota_chain::data::{Data, DataFormat};
use rota_chain::digest::{full_digest, part_digest};
use rota_chain::hash::{BlockHash, Txid, sha256};
use rota_chain::key::PrivateKey;
use rota_chain::lock::{KeyHash, Lock};
use rota_chain::operation::Operation;
use rota_chain::permission::{BlockRange, Grant, PermissionSet};
use rota_chain::stream::{CreateStream, ItemData, Publish, StreamRestriction};
use rota_chain::transaction::{Body, Coverage, Input, OutPoint, Output, TRANSACTION_VERSION, Transaction};
use rota_chain::witness::{MultisigKeys, SlotSignature, Witness};
use rota_consensus::rule::Rule;

/// Somebody who can sign: the holder of one key, or some holders of several.
#[derive(Clone, Debug)]
pub enum Party {
    One(PrivateKey),
    Several { required: u8, keys: Vec<PrivateKey> },
}

/// The holder of the key that belongs to a name.
pub fn party(name: &str) -> Party {
    Party::One(PrivateKey::from_bytes(sha256(format!("party {name}").as_bytes())).unwrap())
}

/// `required` of the holders of the keys of several names.
pub fn several(required: u8, names: &[&str]) -> Party {
    let keys = names.iter().map(|name| party(name).key().clone()).collect();
    Party::Several { required, keys }
}

impl Party {
    pub fn key(&self) -> &PrivateKey {
        match self {
            Party::One(key) => key,
            Party::Several { .. } => panic!("several keys"),
        }
    }

    pub fn hash(&self) -> KeyHash {
        self.key().public_key().key_hash()
    }

    pub fn lock(&self) -> Lock {
        match self {
            Party::One(_) => Lock::Key(self.hash()),
            Party::Several { .. } => self.keys().lock(),
        }
    }

    pub fn keys(&self) -> MultisigKeys {
        match self {
            Party::One(key) => MultisigKeys { required: 1, keys: vec![key.public_key()] },
            Party::Several { required, keys } => {
                MultisigKeys { required: *required, keys: keys.iter().map(PrivateKey::public_key).collect() }
            }
        }
    }

    /// A complete witness over a digest; of several, the first `required` sign.
    pub fn witness(&self, digest: &[u8; 32]) -> Witness {
        match self {
            Party::One(key) => Witness::Key { key: key.public_key(), signature: key.sign(digest) },
            Party::Several { required, .. } => self.witness_of((0..*required).collect::<Vec<u8>>().as_slice(), digest),
        }
    }

    /// A witness of several keys, signed in the slots named.
    pub fn witness_of(&self, slots: &[u8], digest: &[u8; 32]) -> Witness {
        let Party::Several { keys, .. } = self else { panic!("one key") };
        let signatures = slots
            .iter()
            .map(|slot| SlotSignature { slot: *slot, signature: keys[usize::from(*slot) % keys.len()].sign(digest) })
            .collect();
        Witness::Multisig { keys: self.keys(), signatures }
    }
}

/// A transaction being written.
#[derive(Clone, Debug)]
pub struct Writing {
    pub body: Body,
    authors: Vec<Party>,
    owners: Vec<Party>,
}

/// An empty transaction, valid up to block 1,000.
pub fn transaction(nonce: u64) -> Writing {
    Writing {
        body: Body {
            version: TRANSACTION_VERSION,
            inputs: Vec::new(),
            outputs: Vec::new(),
            authors: Vec::new(),
            lock_time: 0,
            last_height: 1_000,
            nonce,
        },
        authors: Vec::new(),
        owners: Vec::new(),
    }
}

impl Writing {
    pub fn author(mut self, author: &Party) -> Writing {
        self.body.authors.push(author.lock());
        self.authors.push(author.clone());
        self
    }

    fn input(mut self, outpoint: OutPoint, owner: &Party, coverage: Coverage) -> Writing {
        self.body.inputs.push(Input { outpoint, coverage });
        self.owners.push(owner.clone());
        self
    }

    pub fn spend(self, outpoint: OutPoint, owner: &Party) -> Writing {
        self.input(outpoint, owner, Coverage::Full)
    }

    pub fn spend_in_part(self, outpoint: OutPoint, owner: &Party) -> Writing {
        self.input(outpoint, owner, Coverage::Part)
    }

    pub fn output(mut self, output: Output) -> Writing {
        self.body.outputs.push(output);
        self
    }

    pub fn operation(self, operation: Operation) -> Writing {
        self.output(Output::operation(operation))
    }

    pub fn pay(self, recipient: &Party, amount: u64) -> Writing {
        self.output(Output::payment(recipient.lock(), Amount(amount)))
    }

    pub fn grant(self, recipient: &Party, rights: &str) -> Writing {
        self.grant_range(recipient, rights, BlockRange::ALWAYS)
    }

    pub fn revoke(self, recipient: &Party, rights: &str) -> Writing {
        self.grant_range(recipient, rights, BlockRange::NEVER)
    }

    pub fn grant_range(self, recipient: &Party, rights: &str, range: BlockRange) -> Writing {
        self.grant_for(None, recipient, rights, range)
    }

    pub fn grant_on(self, entity: Txid, recipient: &Party, rights: &str) -> Writing {
        self.grant_for(Some(entity), recipient, rights, BlockRange::ALWAYS)
    }

    pub fn grant_for(self, entity: Option<Txid>, recipient: &Party, rights: &str, range: BlockRange) -> Writing {
        let permissions: PermissionSet =
            rights.split(',').filter(|name| !name.is_empty()).map(|name| name.parse().unwrap()).collect();
        self.output(Output {
            recipient: Some(recipient.lock()),
            amount: Amount::ZERO,
            assets: Vec::new(),
            operations: vec![Operation::Grant(Grant { entity, permissions, range, timestamp: 0 })],
        })
    }

    /// An open stream.
    pub fn create(self, name: &str) -> Writing {
        self.create_restricted(name, StreamRestriction::default())
    }

    /// A stream in which publishing needs write.
    pub fn create_closed(self, name: &str) -> Writing {
        self.create_restricted(name, StreamRestriction { write: true, ..StreamRestriction::default() })
    }

    pub fn create_restricted(self, name: &str, restriction: StreamRestriction) -> Writing {
        self.operation(Operation::CreateStream(CreateStream {
            name: name.as_bytes().to_vec(),
            restriction,
            salted: restriction.read,
            details: Vec::new(),
        }))
    }

    pub fn publish(self, stream: Txid, key: &str) -> Writing {
        self.publish_data(stream, &[key], text("hello"))
    }

    pub fn publish_data(self, stream: Txid, keys: &[&str], data: ItemData) -> Writing {
        self.operation(Operation::Publish(Publish {
            stream,
            keys: keys.iter().map(|key| key.as_bytes().to_vec()).collect(),
            data,
        }))
    }

    pub fn last_height(mut self, height: u32) -> Writing {
        self.body.last_height = height;
        self
    }

    pub fn lock_time(mut self, time: u32) -> Writing {
        self.body.lock_time = time;
        self
    }

    /// Signs in the order rules demand.
    pub fn sign(self, genesis: &BlockHash) -> Transaction {
        let txid = self.body.txid();
        let mut full: Vec<&Party> = self.authors.iter().collect();
        for (input, owner) in self.body.inputs.iter().zip(&self.owners) {
            let known = full.iter().any(|party| party.lock() == owner.lock());
            if input.coverage == Coverage::Full && !known {
                full.push(owner);
            }
        }
        let mut witnesses: Vec<Witness> =
            full.into_iter().map(|party| party.witness(&full_digest(genesis, &txid, &party.lock()))).collect();
        for (index, owner) in self.owners.iter().enumerate() {
            if let Some(digest) = part_digest(genesis, &self.body, index, &owner.lock()) {
                witnesses.push(owner.witness(&digest));
            }
        }
        Transaction { body: self.body, witnesses }
    }
}

/// Text as the data of an item on the chain.
pub fn text(text: &str) -> ItemData {
    ItemData::Onchain(Data { format: DataFormat::Text, bytes: text.as_bytes().to_vec() })
}

/// Fails unless the rule broken has this code.
#[track_caller]
pub fn broken(rule: impl Into<Rule>, code: &str) {
    let rule = rule.into();
    assert_eq!(rule.code(), code, "{rule}");
}
