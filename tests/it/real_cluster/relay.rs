//! What pods reach of this machine's own: a database or a bucket that listens for this machine alone.

use std::net::{IpAddr, SocketAddr};

use csw_tests::Result;
use tokio::{io::copy_bidirectional, net::TcpStream};

use super::door::Door;

/// From an address that pods reach to a place of this machine.
pub(super) async fn relay(address: IpAddr, place: SocketAddr) -> Result<Door> {
    Door::open(address, move |mut pod| async move {
        let mut there = TcpStream::connect(place).await?;
        copy_bidirectional(&mut pod, &mut there).await?;
        Ok(())
    })
    .await
}
