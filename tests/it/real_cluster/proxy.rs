//! What pods reach of the internet by this machine: the cluster of a test may have no other way there.

use std::net::IpAddr;

use anyhow::{Context, ensure};
use csw_tests::Result;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional},
    net::TcpStream,
};

use super::door::Door;

/// Connects to where it is asked to, if that is a server with TLS.
pub(super) async fn proxy(address: IpAddr) -> Result<Door> {
    Door::open(address, connect).await
}

async fn connect(asker: TcpStream) -> Result {
    let mut asker = BufReader::new(asker);
    let mut line = String::new();
    asker.read_line(&mut line).await?;
    // CONNECT pypi.org:443 HTTP/1.1
    let place = line.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).context("a place")?.to_owned();
    ensure!(place.ends_with(":443"), "{place} is not asked by TLS");
    while asker.read_line(&mut line).await? > 2 {}
    let mut there = TcpStream::connect(place).await?;
    asker.write_all(b"HTTP/1.1 200 connected\r\n\r\n").await?;
    copy_bidirectional(&mut asker, &mut there).await?;
    Ok(())
}
