//! From where calls may come: addresses and subnets; and where to listen accordingly.

use super::config::FrontError;
use ipnet::{IpNet, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Whether an address may call: this machine always, others if a subnet holds them.
pub(super) fn allowed(ip: IpAddr, nets: &[IpNet]) -> bool {
    ip.is_loopback() || nets.iter().any(|net| net.contains(&ip))
}

/// Half of all addresses of IPv4.
const HALF_OF_V4: u64 = 1 << 31;

/// Half of the addresses of IPv6 that are given out for the internet, which are 2000::/3.
const HALF_OF_V6: u128 = 1 << 124;

/// Reads all of rpcallowip. What lets half of the internet or more call, one entry or several together, is refused unless
/// `open` says that this may be: since TLS is spoken, or rpcallowplain is set.
pub fn allow_nets(texts: &[&str], open: bool) -> Result<Vec<IpNet>, FrontError> {
    let nets = texts.iter().map(|text| read_net(text)).collect::<Result<Vec<_>, _>>()?;
    match !open && is_half_the_internet(&nets) {
        true => Err(FrontError::EveryoneAllowed(texts.join(","))),
        false => Ok(nets),
    }
}

/// Reads one rpcallowip: an address, `address/bits` or `address/mask`.
fn read_net(text: &str) -> Result<IpNet, FrontError> {
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
    Ok(net.trunc())
}

/// Whether nets hold half of the addresses of IPv4, or of those of IPv6 that are given out.
fn is_half_the_internet(nets: &[IpNet]) -> bool {
    let given_out = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
    let (mut v4, mut v6) = (0u64, 0u128);
    // What is left after joining does not overlap, so that sizes add up.
    for net in IpNet::aggregate(&nets.to_vec()) {
        match net {
            IpNet::V4(net) => v4 += 1 << (32 - net.prefix_len()),
            IpNet::V6(net) if net.contains(&given_out) => v6 += HALF_OF_V6 * 2,
            IpNet::V6(net) if given_out.contains(&net) => v6 += 1 << (128 - net.prefix_len()),
            IpNet::V6(_) => {}
        }
    }
    v4 >= HALF_OF_V4 || v6 >= HALF_OF_V6
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::{allow_nets, allowed, bind_addresses};
    use crate::rpc::http::FrontError;
    use ipnet::IpNet;

    fn read(text: &str) -> Result<IpNet, FrontError> {
        allow_nets(&[text], false).map(|nets| nets[0])
    }

    #[test]
    fn subnets_are_read_in_three_forms() {
        for (text, shown) in [
            ("10.1.2.3", "10.1.2.3/32"),
            ("192.168.1.7/24", "192.168.1.0/24"),
            ("192.168.1.7/255.255.255.0", "192.168.1.0/24"),
            ("fd00::/8", "fd00::/8"),
        ] {
            assert_eq!(read(text).unwrap().to_string(), shown);
        }
        for bad in ["", "x", "10.0.0.0/33", "10.0.0.0/255.0.255.0", "10.0.0/8"] {
            assert!(matches!(read(bad), Err(FrontError::BadSubnet(_))), "{bad}");
        }
    }

    #[test]
    fn half_of_the_internet_is_allowed_only_on_explicit_wish_however_it_is_cut() {
        let refused: &[&[&str]] = &[
            &["0.0.0.0/0"],
            &["::/0"],
            &["0.0.0.0/0.0.0.0"],
            &["1.2.3.4/0"],
            &["0.0.0.0/1"],
            &["0.0.0.0/1", "128.0.0.0/1"],
            &["0.0.0.0/2", "10.0.0.0/8", "128.0.0.0/3", "160.0.0.0/3"],
            &["2000::/3"],
            &["2000::/4"],
            &["2000::/5", "2800::/5"],
            &["192.168.0.0/16", "::/1"],
        ];
        for texts in refused {
            assert!(matches!(allow_nets(texts, false), Err(FrontError::EveryoneAllowed(_))), "{texts:?}");
            assert!(allow_nets(texts, true).is_ok());
        }
        let told = allow_nets(&["0.0.0.0/1", "128.0.0.0/1"], false).unwrap_err().to_string();
        assert!(told.contains("0.0.0.0/1,128.0.0.0/1") && told.contains("rpcallowplain=1"), "{told}");
        let private: &[&[&str]] = &[
            &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fd00::/8", "fe80::/10"],
            &["64.0.0.0/2", "192.0.0.0/3", "64.0.0.0/3", "96.0.0.0/3"],
            &["2000::/5", "2000::/6", "fc00::/7"],
        ];
        for texts in private {
            assert!(allow_nets(texts, false).is_ok(), "{texts:?}");
        }
    }

    #[test]
    fn this_machine_may_always_call_and_others_only_from_a_named_subnet() {
        let nets = [read("10.0.0.0/8").unwrap()];
        for (ip, expected) in [("127.0.0.1", true), ("::1", true), ("10.9.9.9", true), ("11.0.0.1", false)] {
            assert_eq!(allowed(ip.parse().unwrap(), &nets), expected, "{ip}");
        }
        assert!(!allowed("10.9.9.9".parse().unwrap(), &[]));
    }

    #[test]
    fn listening_beyond_this_machine_needs_rpcallowip() {
        let shown = |binds: &[&str], nets: &[&str]| {
            let binds: Vec<String> = binds.iter().map(|bind| (*bind).to_owned()).collect();
            let nets: Vec<_> = nets.iter().map(|net| read(net).unwrap()).collect();
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
}
