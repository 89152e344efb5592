//! What pods reach of this machine's own: a database or a bucket that listens for this machine alone.

use std::net::{IpAddr, SocketAddr};

use csw_tests::Result;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Connects whoever comes to one place.
pub(super) struct Relay {
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Relay {
    /// From an address that pods reach to a place of this machine.
    pub(super) async fn start(address: IpAddr, place: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((address, 0)).await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            while let Ok((mut pod, _)) = listener.accept().await {
                tokio::spawn(async move {
                    if let Ok(mut there) = TcpStream::connect(place).await {
                        // Either side may leave.
                        let _ = copy_bidirectional(&mut pod, &mut there).await;
                    }
                });
            }
        });
        Ok(Self { address, server })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.server.abort();
    }
}
