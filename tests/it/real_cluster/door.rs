//! A port of this machine that pods reach.

use std::net::{IpAddr, SocketAddr};

use csw_tests::Result;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Whoever comes is served until this ends.
pub(super) struct Door {
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Door {
    /// Serves each connection in a task of its own.
    pub(super) async fn open<F>(address: IpAddr, serve: impl Fn(TcpStream) -> F + Send + 'static) -> Result<Self>
    where
        F: Future<Output = Result> + Send + 'static,
    {
        let listener = TcpListener::bind((address, 0)).await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            while let Ok((pod, _)) = listener.accept().await {
                // Either side may leave.
                tokio::spawn(serve(pod));
            }
        });
        Ok(Self { address, server })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.server.abort();
    }
}
