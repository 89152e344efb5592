//! A real S3 server that checks signatures, on a free port, ended with this value: `s3s-fs`, which `scripts/setup test`
//! installs.

#![allow(dead_code, reason = "each test binary uses what it needs")]

use std::{
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// The bucket that it has.
pub const BUCKET: &str = "results";

const ACCESS: &str = "AKIATESTTESTTEST";

/// The secret key that is right.
pub const SECRET: &str = "a-secret-key-of-tests";

/// A server with a bucket.
pub struct S3 {
    child: Child,
    url: String,
    folder: tempfile::TempDir,
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program, in `PATH` or where `scripts/setup` puts it.
fn program() -> Option<PathBuf> {
    let own = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.tools/bin"));
    let nearer = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.tools/bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain([own, nearer]).map(|folder| folder.join("s3s-fs")).find(|file| file.exists())
}

impl S3 {
    /// A new server with an empty bucket; none where the program is not installed, which is told.
    pub fn start() -> Option<Self> {
        let Some(program) = program() else {
            eprintln!("skipped: there is no s3s-fs; `scripts/setup test` installs it");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(program)
            .args(["--host", "127.0.0.1", "--port", &port.to_string(), "--access-key", ACCESS, "--secret-key", SECRET])
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { child, url: format!("http://127.0.0.1:{port}"), folder };
        for _ in 0..400 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(server);
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("s3s-fs does not start");
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The text of a file of credentials with this secret key.
    pub fn credentials(secret: &str) -> String {
        format!("[default]\naws_access_key_id = {ACCESS}\naws_secret_access_key = {secret}\n")
    }

    /// The part of a configuration file that names the bucket; its credentials are in a file beside it.
    pub fn settings(&self) -> String {
        self.settings_with(SECRET)
    }

    /// The same with this secret key.
    pub fn settings_with(&self, secret: &str) -> String {
        let file = self.folder.path().join(format!("credentials-{secret}"));
        std::fs::write(&file, Self::credentials(secret)).unwrap();
        format!(
            "[objects]\nstore = 's3'\nbucket = '{BUCKET}'\nprefix = 'site'\nendpoint = '{}'\ncredentials_file = '{}'\n",
            self.url,
            file.display()
        )
    }

    /// How many objects are below a prefix.
    pub fn objects(&self, prefix: &str) -> usize {
        fn count(folder: &std::path::Path) -> usize {
            let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
            entries.map(|entry| entry.unwrap().path()).map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
        }
        count(&self.folder.path().join(BUCKET).join(prefix))
    }
}
