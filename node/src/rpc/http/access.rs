//! Who may call: addresses, subnets, user and password; and where to listen accordingly.

use super::config::FrontError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Whether an address may call: this machine always, others if a subnet holds them.
pub(super) fn allowed(ip: IpAddr, nets: &[IpNet]) -> bool {
    ip.is_loopback() || nets.iter().any(|net| net.contains(&ip))
}

/// Reads one rpcallowip: an address, `address/bits` or `address/mask`. The whole internet is refused unless
/// rpcallowplain is set.
pub fn allow_net(text: &str, allow_plain: bool) -> Result<IpNet, FrontError> {
    let bad = || FrontError::BadSubnet(text.to_owned());
    let net = match text.split_once('/') {
        None => IpNet::from(text.trim().parse::<IpAddr>().map_err(|_| bad())?),
        Some((address, mask)) if mask.contains(['.', ':']) => {
            let address: IpAddr = address.trim().parse().map_err(|_| bad())?;
            let mask: IpAddr = mask.trim().parse().map_err(|_| bad())?;
            IpNet::with_netmask(address, mask).map_err(|_| bad())?
        }
        Some(_) => text.trim().parse::<IpNet>().map_err(|_| bad())?,
    };
    if net.prefix_len() == 0 && !allow_plain {
        return Err(FrontError::EveryoneAllowed(text.to_owned()));
    }
    Ok(net.trunc())
}

/// Where to listen. Without rpcallowip: this machine alone, and rpcbind is not looked at. With it: what rpcbind
/// says, or all interfaces.
pub fn bind_addresses(port: u16, binds: &[String], allow_ips: &[IpNet]) -> Result<Vec<SocketAddr>, FrontError> {
    if allow_ips.is_empty() {
        if !binds.is_empty() {
            tracing::warn!("rpcbind is ignored, because without rpcallowip only this machine may call");
        }
        let mut local = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))];
        // With port 0 the two would get different ports.
        if port != 0 {
            local.push(SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
        }
        return Ok(local);
    }
    if binds.is_empty() {
        let any = match allow_ips.iter().any(|net| net.addr().is_ipv6()) {
            true => IpAddr::from(Ipv6Addr::UNSPECIFIED),
            false => IpAddr::from(Ipv4Addr::UNSPECIFIED),
        };
        return Ok(vec![SocketAddr::from((any, port))]);
    }
    let read = |text: &String| {
        let bare = text.trim().trim_start_matches('[').trim_end_matches(']');
        let address = text.trim().parse::<SocketAddr>();
        address.or_else(|_| bare.parse::<IpAddr>().map(|ip| SocketAddr::from((ip, port))))
    };
    binds.iter().map(|text| read(text).map_err(|_| FrontError::BadBind(text.clone()))).collect()
}

/// The one user and password that may call.
pub(super) struct Credentials {
    expected: Vec<u8>,
}

/// Credentials that were not accepted: absent, or wrong.
pub(super) struct Refusal {
    pub(super) wrong: bool,
}

impl Credentials {
    pub(super) fn new(user: &str, password: &str) -> Self {
        Self { expected: format!("{user}:{password}").into_bytes() }
    }

    /// Checks the Basic credentials of a request, in a time that does not tell how much of them is right.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(header) = headers.get(AUTHORIZATION) else {
            return Err(Refusal { wrong: false });
        };
        let text = header.to_str().unwrap_or_default().trim();
        let token = match text.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("basic") => token.trim(),
            _ => "",
        };
        let given = STANDARD.decode(token).unwrap_or_default();
        match equal(&self.expected, &given) {
            true => Ok(()),
            false => Err(Refusal { wrong: true }),
        }
    }
}

/// Compares all of `given`, whether or not it differs early.
fn equal(expected: &[u8], given: &[u8]) -> bool {
    let mut difference = u8::from(expected.len() != given.len());
    for (index, byte) in given.iter().enumerate() {
        let other = expected.get(index % expected.len().max(1)).copied().unwrap_or_default();
        difference |= std::hint::black_box(byte ^ other);
    }
    difference == 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::{allow_net, allowed, bind_addresses, equal};
    use crate::rpc::http::FrontError;

    #[test]
    fn subnets_are_read_in_three_forms() {
        for (text, shown) in [
            ("10.1.2.3", "10.1.2.3/32"),
            ("192.168.1.7/24", "192.168.1.0/24"),
            ("192.168.1.7/255.255.255.0", "192.168.1.0/24"),
            ("fd00::/8", "fd00::/8"),
        ] {
            assert_eq!(allow_net(text, false).unwrap().to_string(), shown);
        }
        for bad in ["", "x", "10.0.0.0/33", "10.0.0.0/255.0.255.0", "10.0.0/8"] {
            assert!(matches!(allow_net(bad, false), Err(FrontError::BadSubnet(_))), "{bad}");
        }
    }

    #[test]
    fn the_whole_internet_is_allowed_only_on_explicit_wish() {
        for text in ["0.0.0.0/0", "::/0", "0.0.0.0/0.0.0.0", "1.2.3.4/0"] {
            assert!(matches!(allow_net(text, false), Err(FrontError::EveryoneAllowed(_))), "{text}");
            assert!(allow_net(text, true).is_ok());
        }
    }

    #[test]
    fn this_machine_may_always_call_and_others_only_from_a_named_subnet() {
        let nets = [allow_net("10.0.0.0/8", false).unwrap()];
        for (ip, expected) in [("127.0.0.1", true), ("::1", true), ("10.9.9.9", true), ("11.0.0.1", false)] {
            assert_eq!(allowed(ip.parse().unwrap(), &nets), expected, "{ip}");
        }
        assert!(!allowed("10.9.9.9".parse().unwrap(), &[]));
    }

    #[test]
    fn listening_beyond_this_machine_needs_rpcallowip() {
        let shown = |binds: &[&str], nets: &[&str]| {
            let binds: Vec<String> = binds.iter().map(|bind| (*bind).to_owned()).collect();
            let nets: Vec<_> = nets.iter().map(|net| allow_net(net, false).unwrap()).collect();
            let addresses = bind_addresses(2916, &binds, &nets)?;
            Ok::<_, FrontError>(addresses.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(shown(&["0.0.0.0"], &[]).unwrap(), ["127.0.0.1:2916", "[::1]:2916"]);
        assert_eq!(shown(&[], &["10.0.0.0/8"]).unwrap(), ["0.0.0.0:2916"]);
        assert_eq!(shown(&[], &["10.0.0.0/8", "fd00::/8"]).unwrap(), ["[::]:2916"]);
        assert_eq!(
            shown(&["10.0.0.1", "10.0.0.1:99", "[fd00::1]", "fd00::1"], &["10.0.0.0/8"]).unwrap(),
            ["10.0.0.1:2916", "10.0.0.1:99", "[fd00::1]:2916", "[fd00::1]:2916"]
        );
        assert!(matches!(shown(&["host"], &["10.0.0.0/8"]), Err(FrontError::BadBind(_))));
    }

    #[test]
    fn credentials_are_equal_only_if_every_byte_and_the_length_are() {
        assert!(equal(b"user:pass", b"user:pass"));
        for other in [&b""[..], b"user:pas", b"user:pasT", b"user:passuser:pass", b"xser:pass"] {
            assert!(!equal(b"user:pass", other));
        }
    }
}
