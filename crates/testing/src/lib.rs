//! What the tests of several crates need: ports for programs that have to be told one.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    ops::Range,
};

/// Below what systems give to whoever asks for any port: until a program listens at one of these, and while it is started
/// again, no connection and no other test is given it by chance.
const PORTS: Range<u16> = 15_000..30_000;

/// So many are looked at before it is said that there is none.
const ATTEMPTS: u16 = 200;

/// A port of this address at which nobody listens.
pub fn free_port(host: IpAddr) -> io::Result<u16> {
    let count = u64::from(PORTS.end - PORTS.start);
    for _ in 0..ATTEMPTS {
        let chance = RandomState::new().build_hasher().finish() % count;
        let port = PORTS.start + u16::try_from(chance).unwrap_or_default();
        if TcpListener::bind((host, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody listens at every port"))
}

/// An address of this machine alone at which nobody listens.
pub fn free_address() -> io::Result<SocketAddr> {
    let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Ok((host, free_port(host)?).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_not_given() {
        let first = free_address().unwrap();
        let held = TcpListener::bind(first).unwrap();
        for _ in 0..100 {
            assert_ne!(free_address().unwrap(), first);
        }
        assert!(PORTS.contains(&first.port()));
        drop(held);
    }
}
