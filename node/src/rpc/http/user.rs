//! Users of JSON-RPC: who they are, how their passwords are compared, what each may call.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use rota_api::method::MethodList;
use rota_chain::hash::hmac_sha256;
use rota_params::credential::Credential;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::config::FrontError;
use crate::rpc::reach::Reach;

/// Most users: every request is compared with each of them, which takes a microsecond a user.
pub const USER_LIMIT: usize = 256;

/// Most bytes of an Authorization header that are looked at: a name and a password of the longest lines that a
/// configuration file is likely to hold.
const HEADER_LIMIT: usize = 4096;

/// What stands in the settings. It is never shown: it holds the password.
#[derive(Clone, Copy)]
pub struct UserSettings<'a> {
    /// `rpcuser`.
    pub user: &'a str,
    /// `rpcpassword`.
    pub password: &'a str,
    /// Each `rpcauth`.
    pub salted: &'a [&'a str],
    /// Each `rpcwhitelist`.
    pub lists: &'a [&'a str],
    /// `rpcallowmethod`.
    pub node: &'a Arc<MethodList>,
}

/// A user.
#[derive(Clone)]
struct User {
    /// The name, hashed under the key of this run.
    name: [u8; 32],
    credential: Credential,
    reach: Arc<Reach>,
}

/// All users.
#[derive(Clone)]
pub struct Users {
    /// Under which names are hashed, so that comparing them tells nothing: it is drawn at each start.
    key: [u8; 32],
    users: Vec<User>,
}

/// Credentials that were not accepted: absent, or wrong.
pub(super) struct Refusal {
    pub(super) wrong: bool,
}

impl Users {
    /// The users of the settings. The one of `rpcuser` may call everything unless a list of its own says otherwise; every
    /// other one needs a list.
    ///
    /// # Errors
    /// A sentence that says what is wrong and what to do.
    pub fn read(settings: UserSettings<'_>) -> Result<Self, FrontError> {
        let UserSettings { user, password, salted, lists, node } = settings;
        if password.is_empty() {
            return Err(FrontError::NoPassword);
        }
        let bad_user = |cause: String| FrontError::BadUser { name: user.to_owned(), cause };
        let first = Credential::make(user, password.as_bytes(), &mut rand::rng());
        let mut credentials = vec![first.map_err(|error| bad_user(error.to_string()))?];
        for text in salted {
            let credential = Credential::parse(text).map_err(|error| FrontError::BadAuth(error.to_string()))?;
            if credentials.iter().any(|known| known.user() == credential.user()) {
                let cause = "it stands in rpcuser or rpcauth twice".to_owned();
                return Err(FrontError::BadUser { name: credential.user().to_owned(), cause });
            }
            credentials.push(credential);
        }
        if credentials.len() > USER_LIMIT {
            return Err(FrontError::TooManyUsers(credentials.len()));
        }
        let mut own = read_lists(lists)?;
        let key: [u8; 32] = rand::random();
        let mut users = Vec::new();
        for (index, credential) in credentials.into_iter().enumerate() {
            let name = credential.user().to_owned();
            let list = match own.remove(&name) {
                Some(list) => list,
                None if index == 0 => MethodList::ALL,
                None => return Err(FrontError::NoMethods(name)),
            };
            let reach = Reach { user: name.into(), own: Arc::new(list), node: Arc::clone(node) };
            let hashed = hmac_sha256(&key, credential.user().as_bytes());
            users.push(User { name: hashed, credential, reach: Arc::new(reach) });
        }
        match own.into_keys().next() {
            Some(stranger) => {
                let cause = "it has an rpcwhitelist, and stands neither in rpcuser nor in rpcauth".to_owned();
                Err(FrontError::BadUser { name: stranger, cause })
            }
            None => Ok(Self { key, users }),
        }
    }

    /// Who the Basic credentials of a request belong to. The time it takes tells neither whether the name is known nor how
    /// much of anything is right: every user is compared in full.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<Arc<Reach>, Refusal> {
        let header = headers.get(AUTHORIZATION).ok_or(Refusal { wrong: false })?;
        let text = header.to_str().ok().filter(|text| text.len() <= HEADER_LIMIT).unwrap_or_default().trim();
        let token = match text.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("basic") => token.trim(),
            _ => "",
        };
        let given = STANDARD.decode(token).unwrap_or_default();
        let colon = given.iter().position(|byte| *byte == b':').unwrap_or(given.len());
        let (name, password) = (&given[..colon], given.get(colon + 1..).unwrap_or_default());
        let given_name = hmac_sha256(&self.key, name);
        let (mut found, mut place) = (Choice::from(0), 0u64);
        for (index, User { name, credential, .. }) in self.users.iter().enumerate() {
            let same_password = credential.digest_of(password).ct_eq(credential.digest());
            let same = name.ct_eq(&given_name) & same_password;
            place.conditional_assign(&(index as u64), same);
            found |= same;
        }
        let user = usize::try_from(place).ok().filter(|_| bool::from(found)).and_then(|place| self.users.get(place));
        user.map(|user| Arc::clone(&user.reach)).ok_or(Refusal { wrong: true })
    }
}

/// The list of each user.
fn read_lists(lists: &[&str]) -> Result<HashMap<String, MethodList>, FrontError> {
    let mut own = HashMap::new();
    for text in lists {
        let bad = |cause: String| FrontError::BadMethods { text: shortened(text), cause };
        let (name, methods) = text.split_once(':').ok_or_else(|| bad("expected USER:METHODS".to_owned()))?;
        let list: MethodList =
            methods.parse().map_err(|error: rota_api::method::UnknownMethod| bad(error.to_string()))?;
        if own.insert(name.trim().to_owned(), list).is_some() {
            return Err(bad(format!("user {} has a list already: put all its methods into one", name.trim())));
        }
    }
    Ok(own)
}

/// The beginning of a setting, for a message.
fn shortened(text: &str) -> String {
    text.chars().take(80).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::{STANDARD, USER_LIMIT, UserSettings, Users};
    use crate::rpc::http::FrontError;
    use base64::Engine as _;
    use hyper::HeaderMap;
    use hyper::header::AUTHORIZATION;
    use rota_api::method::MethodList;
    use rota_params::credential::Credential;
    use std::sync::Arc;

    fn read(salted: &[&str], lists: &[&str]) -> Result<Users, FrontError> {
        let node = &Arc::new(MethodList::ALL);
        Users::read(UserSettings { user: "rota", password: "secret", salted, lists, node })
    }

    fn salted(user: &str, password: &str) -> String {
        Credential::make(user, password.as_bytes(), &mut rand::rng()).unwrap().to_string()
    }

    /// Whose these credentials are, or whether they are wrong.
    fn who(users: &Users, header: &str) -> Result<String, bool> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, header.parse().unwrap());
        users.check(&headers).map(|reach| reach.user.to_string()).map_err(|refusal| refusal.wrong)
    }

    fn basic(pair: &[u8]) -> String {
        format!("Basic {}", STANDARD.encode(pair))
    }

    #[test]
    fn every_user_is_let_in_with_the_whole_name_and_the_whole_password_of_its_own() {
        let (alice, bob) = (salted("alice", "one:two"), salted("bob", "x"));
        let users = read(&[&alice, &bob], &["alice:@read", "bob:getinfo"]).unwrap();
        for (pair, name) in [("rota:secret", "rota"), ("alice:one:two", "alice"), ("bob:x", "bob")] {
            assert_eq!(who(&users, &basic(pair.as_bytes())).as_deref(), Ok(name));
            assert_eq!(who(&users, &basic(pair.as_bytes()).replace("Basic", "basic")).as_deref(), Ok(name));
        }
        let wrong = [
            "",
            ":",
            "rota",
            "rota:",
            "rota:secre",
            "rota:secretx",
            "Rota:secret",
            "rot:secret",
            "rotaa:secret",
            ":secret",
            "alice:secret",
            "rota:x",
            "bob:one:two",
            "alice:one",
            "nobody:secret",
            "rota:secret\0",
        ];
        for pair in wrong {
            assert_eq!(who(&users, &basic(pair.as_bytes())), Err(true), "{pair:?}");
        }
        assert_eq!(who(&users, &basic(b"rota:\xff\xfe")), Err(true));
        for header in ["Bearer cm90YTpzZWNyZXQ=", "Basic", "cm90YTpzZWNyZXQ=", "Basic %%%", ""] {
            assert_eq!(who(&users, header), Err(true), "{header}");
        }
        assert_eq!(who(&users, &format!("Basic {}", "A".repeat(50_000))), Err(true));
        assert!(users.check(&HeaderMap::new()).is_err_and(|refusal| !refusal.wrong));
    }

    #[test]
    fn a_user_without_a_list_may_call_everything_only_if_it_is_the_one_of_rpcuser() {
        let alice = salted("alice", "one");
        assert!(matches!(read(&[&alice], &[]), Err(FrontError::NoMethods(name)) if name == "alice"));
        let users = read(&[&alice], &["alice:@read", "rota:stop"]).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, basic(b"rota:secret").parse().unwrap());
        let reach = users.check(&headers).ok().unwrap();
        assert!(reach.admits("stop") && !reach.admits("getinfo"), "rpcuser can be held to a list too");
    }

    #[test]
    fn users_that_cannot_be_meant_are_refused_with_a_sentence() {
        let (alice, again) = (salted("alice", "one"), salted("alice", "two"));
        let mistaken = |salted: &[&str], lists: &[&str]| read(salted, lists).err().unwrap().to_string();
        let told = mistaken(&["alice"], &[]);
        assert!(told.starts_with("rpcauth:") && !told.contains("alice"), "{told}");
        let sentences = [
            (mistaken(&[&alice, &again], &["alice:@read"]), "alice"),
            (mistaken(&[&salted("rota", "x")], &[]), "rota"),
            (mistaken(&[], &["bob:getinfo"]), "bob"),
            (mistaken(&[], &["rota:getinfos"]), "did you mean getinfo?"),
            (mistaken(&[], &["getinfo"]), "USER:METHODS"),
            (mistaken(&[], &["rota:getinfo", "rota:stop"]), "put all its methods into one"),
        ];
        for (told, part) in sentences {
            assert!(told.contains(part), "{told}");
        }
        let node = &Arc::new(MethodList::ALL);
        let empty = Users::read(UserSettings { user: "rota", password: "", salted: &[], lists: &[], node });
        assert!(matches!(empty, Err(FrontError::NoPassword)));
    }

    #[test]
    fn there_are_at_most_as_many_users_as_a_request_can_be_compared_with() {
        let lines: Vec<String> = (1..=USER_LIMIT).map(|number| salted(&format!("u{number}"), "x")).collect();
        let lists: Vec<String> = (1..=USER_LIMIT).map(|number| format!("u{number}:@read")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let lists: Vec<&str> = lists.iter().map(String::as_str).collect();
        assert!(read(&lines[1..], &lists[1..]).is_ok());
        assert!(matches!(read(&lines, &lists), Err(FrontError::TooManyUsers(count)) if count == USER_LIMIT + 1));
    }
}
