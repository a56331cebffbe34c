//! Reads the members of a request object and of a batch as raw text. Of duplicate members the first counts.

use super::Fault;
use rota_api::Code;
use serde_json::value::RawValue;
use std::fmt;

/// The members of a request object that mean something; all others are skipped.
#[derive(Debug, Default, Clone, Copy)]
pub(in crate::rpc::http) struct Members<'a> {
    pub(super) method: Option<&'a RawValue>,
    pub(super) params: Option<&'a RawValue>,
    pub(super) id: Option<&'a RawValue>,
    pub(super) chain_name: Option<&'a RawValue>,
}

/// Reads a request object; -32700 if it is not valid JSON.
pub(in crate::rpc::http) fn read_members(text: &str) -> Result<Members<'_>, Fault> {
    serde_json::from_str(text).map_err(|error| Fault::new(Code::ParseError, format!("Parse error: {error}")))
}

/// Reads the members of a batch; -32600 if there are more than `limit`.
pub(in crate::rpc::http) fn read_batch(text: &str, limit: usize) -> Result<Vec<&RawValue>, Fault> {
    let parse_error = |error: serde_json::Error| Fault::new(Code::ParseError, format!("Parse error: {error}"));
    let mut reader = serde_json::Deserializer::from_str(text);
    let members = serde::Deserializer::deserialize_seq(&mut reader, BatchVisitor { limit }).map_err(parse_error)?;
    let Some(members) = members else {
        return Err(Fault::invalid_request(format!("Batch of more than the limit of {limit} requests")));
    };
    reader.end().map_err(parse_error)?;
    Ok(members)
}

struct BatchVisitor {
    limit: usize,
}

impl<'de> serde::de::Visitor<'de> for BatchVisitor {
    type Value = Option<Vec<&'de RawValue>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a batch of requests")
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let (mut members, mut surplus) = (Vec::new(), false);
        while let Some(member) = access.next_element::<&'de RawValue>()? {
            match members.len() < self.limit {
                true => members.push(member),
                // The rest is still read, as it must be valid for the limit to be the cause.
                false => surplus = true,
            }
        }
        Ok((!surplus).then_some(members))
    }
}

impl<'de> serde::Deserialize<'de> for Members<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> serde::de::Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a request object")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut access: A) -> Result<Members<'de>, A::Error> {
        let mut members = Members::default();
        while let Some(name) = access.next_key::<Known>()? {
            let value = access.next_value::<&'de RawValue>()?;
            let place = match name {
                Known::Method => &mut members.method,
                Known::Params => &mut members.params,
                Known::Id => &mut members.id,
                Known::Chain => &mut members.chain_name,
                Known::Other => continue,
            };
            place.get_or_insert(value);
        }
        Ok(members)
    }
}

#[derive(Clone, Copy)]
enum Known {
    Method,
    Params,
    Id,
    Chain,
    Other,
}

impl<'de> serde::Deserialize<'de> for Known {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl serde::de::Visitor<'_> for NameVisitor {
    type Value = Known;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a member name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Known, E> {
        Ok(match name {
            "method" => Known::Method,
            "params" => Known::Params,
            "id" => Known::Id,
            "chain_name" => Known::Chain,
            _ => Known::Other,
        })
    }
}
