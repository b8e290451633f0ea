//! A network of IP addresses: `10.0.0.0/8`, `fd00::/8`, or one address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network that is trusted without a token.
///
/// An IPv4-mapped IPv6 address counts as its IPv4 address, both as the network
/// and as the peer that is compared with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpNetwork {
    base: IpAddr,
    prefix_bits: u8,
}

/// A text that is no network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkError(String);

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NetworkError(text) = self;
        write!(
            f,
            "'{text}' is not a network: give an address such as 10.1.2.3, or an address and its \
             prefix length such as 172.16.0.0/12 or fd00::/8"
        )
    }
}

impl std::error::Error for NetworkError {}

impl IpNetwork {
    /// Whether the address lies in this network.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        match (self.base, address) {
            (IpAddr::V4(_), IpAddr::V4(_)) | (IpAddr::V6(_), IpAddr::V6(_)) => {
                first_of(address, self.prefix_bits) == self.base
            }
            _ => false,
        }
    }
}

impl FromStr for IpNetwork {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<IpNetwork, NetworkError> {
        let refuse = || NetworkError(text.to_owned());
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| refuse())?;
        let width = width_of(address);
        let mut prefix_bits = match prefix {
            None => width,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| refuse())?
            }
            Some(_) => return Err(refuse()),
        };
        if prefix_bits > width {
            return Err(refuse());
        }
        let canonical = address.to_canonical();
        if width_of(canonical) != width {
            // ::ffff:10.0.0.0/104 is 10.0.0.0/8; a shorter prefix would cut the mapping itself.
            prefix_bits = prefix_bits.checked_sub(96).ok_or_else(refuse)?;
        }
        Ok(IpNetwork { base: first_of(canonical, prefix_bits), prefix_bits })
    }
}

impl fmt::Display for IpNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix_bits)
    }
}

fn width_of(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The first address of the network that has this prefix length around an address.
fn first_of(address: IpAddr, prefix_bits: u8) -> IpAddr {
    let prefix_bits = u32::from(prefix_bits);
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - prefix_bits).unwrap_or(0);
            Ipv4Addr::from_bits(v4.to_bits() & mask).into()
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - prefix_bits).unwrap_or(0);
            Ipv6Addr::from_bits(v6.to_bits() & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(network: &str, address: &str) -> bool {
        let network: IpNetwork = network.parse().unwrap();
        network.contains(address.parse().unwrap())
    }

    #[test]
    fn a_prefix_decides() {
        assert!(within("172.16.0.0/12", "172.31.255.255"));
        assert!(!within("172.16.0.0/12", "172.32.0.0"));
        assert!(within("10.1.2.3", "10.1.2.3"));
        assert!(!within("10.1.2.3", "10.1.2.4"));
        assert!(within("0.0.0.0/0", "8.8.8.8"));
        assert!(within("fd00::/8", "fdff::1"));
        assert!(!within("fd00::/8", "fe80::1"));
    }

    #[test]
    fn bits_after_the_prefix_do_not_matter() {
        assert!(within("10.9.8.7/8", "10.0.0.1"));
        assert_eq!("10.9.8.7/8".parse::<IpNetwork>().unwrap().to_string(), "10.0.0.0/8");
    }

    #[test]
    fn families_are_apart_but_for_mapped_addresses() {
        assert!(!within("0.0.0.0/0", "::1"));
        assert!(!within("::/0", "10.0.0.1"));
        assert!(within("10.0.0.0/8", "::ffff:10.2.3.4"));
        assert!(within("::ffff:10.0.0.0/104", "10.2.3.4"));
        assert!(!within("::ffff:10.0.0.0/104", "11.2.3.4"));
    }

    #[test]
    fn what_is_no_network_is_refused_with_an_example() {
        for text in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0/8",
            "x/8",
            "::ffff:0.0.0.0/90",
            "10.0.0.0/8/8",
        ] {
            let error = text.parse::<IpNetwork>().unwrap_err();
            assert!(error.to_string().contains("172.16.0.0/12"), "{text}");
        }
    }
}
