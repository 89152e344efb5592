//! A real Redis on a free port, ended with this value.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A Redis that keeps what it has in memory, and nothing anywhere else.
pub struct Redis {
    folder: std::path::PathBuf,
    host: IpAddr,
    port: u16,
    tls: bool,
    words: Vec<String>,
    process: Option<Child>,
}

impl Redis {
    /// One that has this folder, and lets everybody in.
    pub fn start(folder: &Path) -> std::io::Result<Self> {
        Self::of(folder, false, &[])
    }

    /// The same with more words on its command line.
    pub fn start_with(folder: &Path, words: &[&str]) -> std::io::Result<Self> {
        Self::of(folder, false, words)
    }

    /// The same at another address of this machine, for others than this machine.
    pub fn start_at(folder: &Path, host: IpAddr) -> std::io::Result<Self> {
        let mut redis = Self::new(folder, host, false, &["--protected-mode", "no"])?;
        redis.begin()?;
        Ok(redis)
    }

    /// The same behind TLS, with a certificate of its own: [`Redis::certificate`].
    pub fn start_with_tls(folder: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args([
                "-addext",
                "subjectAltName=DNS:localhost,IP:127.0.0.1",
                "-addext",
                "basicConstraints=critical,CA:FALSE",
            ])
            .args(["-keyout", "key.pem", "-out", "certificate.pem"])
            .current_dir(folder)
            .stderr(Stdio::null())
            .status()?;
        if !made.success() {
            return Err(std::io::Error::other("openssl makes no certificate"));
        }
        Self::of(folder, true, &[])
    }

    fn of(folder: &Path, tls: bool, words: &[&str]) -> std::io::Result<Self> {
        let mut redis = Self::new(folder, Ipv4Addr::LOCALHOST.into(), tls, words)?;
        redis.begin()?;
        Ok(redis)
    }

    fn new(folder: &Path, host: IpAddr, tls: bool, words: &[&str]) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let port = csw_testing::free_port(host)?;
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        Ok(Self { folder: folder.to_owned(), host, port, tls, words, process: None })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (self.host, self.port).into()
    }

    /// Starts it on its port.
    pub fn begin(&mut self) -> std::io::Result<()> {
        let port = self.port.to_string();
        let mut command = Command::new("redis-server");
        command.args([
            "--bind",
            &self.host.to_string(),
            "--save",
            "",
            "--appendonly",
            "no",
            "--daemonize",
            "no",
            "--dir",
        ]);
        command.arg(&self.folder);
        if self.tls {
            command.args(["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"]);
            command.args(["--tls-cert-file", "certificate.pem", "--tls-key-file", "key.pem"]);
        } else {
            command.args(["--port", &port]);
        }
        command.args(&self.words);
        self.process = Some(command.stdout(Stdio::null()).current_dir(&self.folder).spawn()?);
        let begun = Instant::now();
        while TcpStream::connect(self.address()).is_err() {
            if begun.elapsed() > PATIENCE {
                return Err(std::io::Error::other("redis-server does not answer"));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Its power fails.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It is gone either way.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("{}://{}", if self.tls { "rediss" } else { "redis" }, self.address())
    }

    /// Its certificate, which is its authority's too.
    pub fn certificate(&self) -> std::io::Result<String> {
        std::fs::read_to_string(self.folder.join("certificate.pem"))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
