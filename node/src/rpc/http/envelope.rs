//! The old JSON-RPC envelope: reading requests of any version, writing `{result,error,id}`. Results and
//! parameters pass through as text; nothing here knows a method.

use jsonrpsee::types::ErrorObjectOwned;
use rota_api::error::http_status;
use rota_api::json::{BODY_DEPTH_LIMIT, depth_within};
use rota_api::{Code, RpcError};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

mod member;

pub(super) use member::{Members, read_batch, read_members};

/// The id in a reply to a request whose own id was never read.
const UNREAD_ID: &str = "0";

/// Longest id in bytes: far more than clients number or name their requests with. Even the reply that says that there is no
/// room for a reply repeats it.
const ID_LIMIT: usize = 64 * 1024;

/// An error on its way to the wire, already written as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: i32,
    json: String,
}

impl Fault {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self::from(ErrorObjectOwned::from(RpcError::new(code, message)))
    }

    pub(super) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidRequest, message)
    }

    /// An error object that is JSON already.
    pub(super) fn written(code: i32, json: String) -> Self {
        Self { code, json }
    }
}

impl From<ErrorObjectOwned> for Fault {
    fn from(error: ErrorObjectOwned) -> Self {
        let json = serde_json::to_string(&error)
            .unwrap_or_else(|_| r#"{"code":-32603,"message":"Internal error"}"#.to_owned());
        Self { code: error.code(), json }
    }
}

/// A reply: HTTP status and body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Reply {
    /// The reply to one request; `id` is raw JSON.
    pub(super) fn one(outcome: &Result<Answer, Fault>, id: &str) -> Self {
        let status = outcome.as_ref().map_or_else(|fault| http_status(fault.code), |_| 200);
        let mut body = String::with_capacity(outcome.as_ref().map_or(256, |answer| answer.result().len() + 64));
        write_reply(&mut body, outcome, id);
        body.push('\n');
        Self { status, body }
    }

    /// The reply to a body that failed as a whole.
    pub(super) fn fault(fault: &Fault, id: Option<&str>) -> Self {
        Self::one(&Err(fault.clone()), id.unwrap_or(UNREAD_ID))
    }
}

/// Appends one reply without the line end.
pub(super) fn write_reply(body: &mut String, outcome: &Result<Answer, Fault>, id: &str) {
    let (result, error) = match outcome {
        Ok(answer) => (answer.result(), "null"),
        Err(fault) => ("null", fault.json.as_str()),
    };
    for part in ["{\"result\":", result, ",\"error\":", error, ",\"id\":", id, "}"] {
        body.push_str(part);
    }
}

/// What jsonrpsee wrote for a successful call, and where in it the result stands.
#[derive(Debug)]
pub(super) struct Answer {
    text: Box<RawValue>,
    from: usize,
    to: usize,
}

impl Answer {
    const PREFIX: &str = r#"{"jsonrpc":"2.0","id":0,"result":"#;

    /// Finds the result in a response to request 0 without reading it again. None if it has another form.
    pub(super) fn find(text: Box<RawValue>) -> Option<Self> {
        let whole = text.get();
        let to = whole.len().checked_sub(1).filter(|_| whole.starts_with(Self::PREFIX) && whole.ends_with('}'))?;
        (to > Self::PREFIX.len()).then_some(Self { from: Self::PREFIX.len(), to, text })
    }

    /// The raw result.
    pub(super) fn result(&self) -> &str {
        self.text.get().get(self.from..self.to).unwrap_or("null")
    }
}

/// The error in a response to request 0, written as JSON.
pub(super) fn find_error(text: &str) -> Option<&str> {
    text.strip_prefix(r#"{"jsonrpc":"2.0","id":0,"error":"#)?.strip_suffix('}')
}

/// A body as one of its two forms.
#[derive(Debug)]
pub(super) enum Body<'a> {
    /// One request object, not looked into yet.
    One(&'a str),
    /// A list of anything.
    Batch(&'a str),
}

/// Tells the form of a body: text, not too deep, an object or an array.
pub(super) fn body_form(bytes: &[u8]) -> Result<Body<'_>, Fault> {
    let parse_error = |why: &str| Fault::new(Code::ParseError, format!("Parse error: {why}"));
    let text = std::str::from_utf8(bytes).map_err(|_| parse_error("the body is not UTF-8"))?;
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    if !depth_within(text.as_bytes(), BODY_DEPTH_LIMIT) {
        return Err(parse_error(&format!("nested deeper than {BODY_DEPTH_LIMIT} levels")));
    }
    match text.as_bytes().first() {
        Some(b'{') => Ok(Body::One(text)),
        Some(b'[') => Ok(Body::Batch(text)),
        Some(_) => Err(parse_error("neither an object nor an array")),
        None => Err(parse_error("the body is empty")),
    }
}

/// The method and raw parameters of each request in a body, as the front reads them before it calls anything.
///
/// # Errors
/// The JSON of the error that the whole body, or one request, is answered with.
pub fn read_body(bytes: &[u8], chain_name: &str, batch_limit: usize) -> Result<Vec<Asked>, String> {
    let one = |text: &str| {
        let members = read_members(text).map_err(|fault| fault.json)?;
        let call = members.call(chain_name).map_err(|fault| fault.json)?;
        let params = call.params.map(str::to_owned);
        Ok(Asked { id: members.id_text().into_owned(), method: call.method.into_owned(), params })
    };
    match body_form(bytes).map_err(|fault| fault.json)? {
        Body::One(text) => one(text).map(|asked| vec![asked]),
        Body::Batch(text) => {
            let members = read_batch(text, batch_limit).map_err(|fault| fault.json)?;
            members.into_iter().map(|member| one(member.get())).collect()
        }
    }
}

/// One request of a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Asked {
    /// The id as it is echoed.
    pub id: String,
    /// The method's name.
    pub method: String,
    /// The raw array; none for no parameters.
    pub params: Option<String>,
}

/// A request whose form is right.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call<'a> {
    pub(super) method: Cow<'a, str>,
    /// The raw array; none for no parameters.
    pub(super) params: Option<&'a str>,
}

impl Members<'_> {
    /// The id as it is echoed: compact JSON, null if there is none or it is too long.
    pub(super) fn id_text(&self) -> Cow<'_, str> {
        let raw = self.id.map_or("null", RawValue::get);
        if raw.len() > ID_LIMIT {
            return Cow::Borrowed("null");
        }
        match raw.starts_with(['{', '[']) {
            true => serde_json::from_str::<Value>(raw).map_or(Cow::Borrowed("null"), |id| Cow::Owned(id.to_string())),
            false => Cow::Borrowed(raw),
        }
    }

    /// Whether it has no id at all: what JSON-RPC 2.0 calls a notification.
    pub(super) fn has_no_id(&self) -> bool {
        self.id.is_none()
    }

    /// The method's name.
    pub(super) fn method_name(&self) -> Result<Cow<'_, str>, Fault> {
        let raw = self.method.map(RawValue::get).filter(|raw| *raw != "null");
        let raw = raw.ok_or_else(|| Fault::invalid_request("Missing method"))?;
        let Some(inner) = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
            return Err(Fault::invalid_request("Method must be a string"));
        };
        if !inner.contains('\\') {
            return Ok(Cow::Borrowed(inner));
        }
        serde_json::from_str::<String>(raw)
            .map(Cow::Owned)
            .map_err(|error| Fault::new(Code::ParseError, format!("Parse error: {error}")))
    }

    /// The rest of the envelope: parameters must be an array, the chain, if named, this one, the id not too long.
    pub(super) fn call(&self, chain_name: &str) -> Result<Call<'_>, Fault> {
        if self.id.is_some_and(|id| id.get().len() > ID_LIMIT) {
            return Err(Fault::invalid_request(format!("The id has more than the limit of {ID_LIMIT} bytes")));
        }
        let method = self.method_name()?;
        let params = match self.params.map(RawValue::get) {
            None | Some("null") => None,
            Some(raw) if raw.starts_with('[') => Some(raw),
            Some(_) => return Err(Fault::invalid_request("Params must be an array")),
        };
        if let Some(raw) = self.chain_name {
            match serde_json::from_str::<String>(raw.get()) {
                Ok(named) if named == chain_name => {}
                Ok(named) => {
                    return Err(Fault::invalid_request(format!("This is a node of {chain_name}, not of {named}")));
                }
                Err(_) => return Err(Fault::invalid_request("chain_name must be a string")),
            }
        }
        Ok(Call { method, params })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.json)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::{Answer, Body, ID_LIMIT, Reply, body_form, find_error, read_batch, read_members};
    use serde_json::value::RawValue;

    #[test]
    fn of_duplicate_members_the_first_counts_and_unknown_ones_are_ignored() {
        let text = r#"{"jsonrpc":"1.0","x":[{}],"method":"a","method":5,"id":"i","id":2,"params":[1],"params":{}}"#;
        let members = read_members(text).unwrap();
        let call = members.call("c").unwrap();
        assert_eq!((call.method.as_ref(), call.params), ("a", Some("[1]")));
        assert_eq!(members.id_text(), "\"i\"");
    }

    #[test]
    fn ids_of_every_type_are_echoed() {
        for (raw, echoed) in [
            ("1", "1"),
            ("1.50", "1.50"),
            ("\"a b\"", "\"a b\""),
            ("null", "null"),
            ("[ 1, {\"a\": 2} ]", "[1,{\"a\":2}]"),
            ("{\t\"a b\" :\n\" \\\" : \\\\\", \"c\": [ ] }", "{\"a b\":\" \\\" : \\\\\",\"c\":[]}"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
        ] {
            assert_eq!(read_members(&format!("{{\"id\": {raw} }}")).unwrap().id_text(), echoed);
        }
        assert_eq!(read_members("{}").unwrap().id_text(), "null");
    }

    #[test]
    fn an_id_without_end_is_refused_and_not_echoed() {
        let echoed = |id: &str| {
            let text = format!(r#"{{"method":"a","id":{id}}}"#);
            let members = read_members(&text).unwrap();
            let code = members.call("c").map_or_else(|fault| fault.code, |_| 0);
            (code, members.id_text().into_owned())
        };
        let longest = format!("[1{}]", ",1".repeat((ID_LIMIT - 3) / 2));
        assert_eq!(echoed(&longest), (0, longest.clone()));
        // The marks of a text are two bytes.
        let text = format!("\"{}\"", "x".repeat(ID_LIMIT - 1));
        for long in [format!("[1{}]", ",1".repeat(ID_LIMIT / 2)), text] {
            assert_eq!(echoed(&long), (-32600, "null".to_owned()));
        }
    }

    #[test]
    fn a_method_name_with_escapes_is_read_as_what_it_says() {
        let members = read_members(r#"{"method":"get\u0069nfo"}"#).unwrap();
        assert_eq!(members.method_name().unwrap(), "getinfo");
    }

    #[test]
    fn a_result_is_found_without_being_read_and_other_forms_are_not_mistaken() {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
        let answer = Answer::find(raw(r#"{"jsonrpc":"2.0","id":0,"result":{"a":[1,"}"]}}"#)).unwrap();
        assert_eq!(answer.result(), r#"{"a":[1,"}"]}"#);
        let reply = Reply::one(&Ok(answer), "7");
        assert_eq!(
            (reply.status, reply.body.as_str()),
            (200, "{\"result\":{\"a\":[1,\"}\"]},\"error\":null,\"id\":7}\n")
        );
        assert!(Answer::find(raw(r#"{"jsonrpc":"2.0","id":0,"error":{}}"#)).is_none());
        assert_eq!(find_error(r#"{"jsonrpc":"2.0","id":0,"error":{"code":1}}"#), Some(r#"{"code":1}"#));
    }

    #[test]
    fn only_objects_and_arrays_are_bodies() {
        assert!(matches!(body_form(b" {} ").unwrap(), Body::One("{}")));
        assert!(matches!(body_form(b"\n[]").unwrap(), Body::Batch("[]")));
        for bad in [&b""[..], b"  ", b"5", b"\"x\"", b"\xff{}", b"null"] {
            assert_eq!(body_form(bad).unwrap_err().code, -32700);
        }
        let deep = "[".repeat(1_000_000);
        assert_eq!(body_form(deep.as_bytes()).unwrap_err().code, -32700);
    }

    #[test]
    fn a_batch_is_read_up_to_its_limit() {
        assert_eq!(read_batch("[1, {} ,[]]", 3).unwrap().len(), 3);
        assert_eq!(read_batch("[]", 0).unwrap().len(), 0);
        assert_eq!(read_batch("[1,2,3,4]", 3).unwrap_err().code, -32600);
        assert_eq!(read_batch("[1,2", 3).unwrap_err().code, -32700);
        assert_eq!(read_batch("[1,2]x", 3).unwrap_err().code, -32700);
    }
}
