//! The registry server of Debian's package `docker-registry`, on a port of its own.

use std::{
    fs::{self, File},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::ensure;

use crate::Result;

/// `me:s3cret`, as htpasswd writes it.
const HTPASSWD: &str = "me:$2b$05$Fes/d7HPu5Hd6IRVXDhvc.YbLS.RhnKGlzzMy55WX74Qo4YnrQ4HG\n";

/// A registry, as long as this value lives.
pub struct Registry {
    server: Option<Child>,
    folder: PathBuf,
    /// `HOST:PORT`.
    pub address: String,
}

impl Registry {
    /// Who may use one that is closed.
    pub const USER: &str = "me";
    /// Their password.
    pub const PASSWORD: &str = "s3cret";

    /// Starts one that everybody may use.
    pub fn open(folder: &Path) -> Result<Self> {
        Self::with(folder, "")
    }

    /// Starts one that asks for a name and a password.
    pub fn closed(folder: &Path) -> Result<Self> {
        let users = folder.join("htpasswd");
        fs::create_dir_all(folder)?;
        fs::write(&users, HTPASSWD)?;
        Self::with(folder, &format!("auth:\n  htpasswd:\n    realm: tests\n    path: {}\n", users.display()))
    }

    fn with(folder: &Path, auth: &str) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let port = csw_testing::free_address()?.port();
        let address = format!("127.0.0.1:{port}");
        let storage = folder.join("storage");
        let settings = format!(
            "version: 0.1\nlog:\n  level: warn\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n  \
             secret: tests\n{auth}",
            storage.display()
        );
        fs::write(folder.join("registry.yml"), settings)?;
        let mut registry = Self { server: None, folder: folder.to_owned(), address };
        registry.start()?;
        Ok(registry)
    }

    /// Starts it again, with what it had, where it was.
    pub fn start(&mut self) -> Result {
        let log = File::options().create(true).append(true).open(self.folder.join("log"))?;
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(self.folder.join("registry.yml"));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.server = Some(command.spawn()?);
        let start = Instant::now();
        while TcpStream::connect(&self.address).is_err() {
            ensure!(start.elapsed() < Duration::from_secs(20), "the registry does not start");
            std::thread::sleep(Duration::from_millis(30));
        }
        Ok(())
    }

    /// It goes away.
    pub fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    /// How many blobs it has, whatever they are of.
    pub fn blobs(&self) -> usize {
        let all = self.folder.join("storage/docker/registry/v2/blobs/sha256");
        let below = |folder: fs::DirEntry| fs::read_dir(folder.path()).into_iter().flatten();
        fs::read_dir(all).into_iter().flatten().flatten().flat_map(below).count()
    }

    /// The tags of a repository.
    pub fn tags(&self, repository: &str) -> Vec<String> {
        let place = format!("storage/docker/registry/v2/repositories/{repository}/_manifests/tags");
        let entries = fs::read_dir(self.folder.join(place)).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Whether programs are there; where one is not, it says so, and the test is skipped.
pub fn are_there(programs: &[&str]) -> bool {
    let is_absent = |program: &&&str| Command::new(program).arg("--version").output().is_err();
    let absent: Vec<&str> = programs.iter().filter(is_absent).copied().collect();
    if !absent.is_empty() {
        eprintln!("skipped: {} is not installed; `scripts/setup test` does that", absent.join(", "));
    }
    absent.is_empty()
}
