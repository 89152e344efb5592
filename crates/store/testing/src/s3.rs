//! A real S3 server that checks signatures, on a free port, ended with this value: that of the crate s3s.

use std::net::SocketAddr;

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use s3s::{
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use s3s_fs::FileSystem;
use tokio::{net::TcpListener, runtime::Runtime};

/// The bucket that it has.
pub const BUCKET: &str = "results";

const ACCESS: &str = "AKIATESTTESTTEST";

/// The secret key that is right.
pub const SECRET: &str = "a-secret-key-of-tests";

/// A server with a bucket.
pub struct S3 {
    address: SocketAddr,
    folder: tempfile::TempDir,
    /// Threads of its own: a test waits for programs that wait for it.
    runtime: Option<Runtime>,
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

async fn serve(listener: std::net::TcpListener, service: S3Service) {
    let listener = TcpListener::from_std(listener).unwrap();
    while let Ok((connection, _)) = listener.accept().await {
        let service = service.clone();
        tokio::spawn(async move {
            // Whoever hangs up has the answer, or does not want it.
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(connection), service).await;
        });
    }
}

impl S3 {
    /// A new server with an empty bucket.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let mut service = S3ServiceBuilder::new(FileSystem::new(folder.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(ACCESS, SECRET));
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(serve(listener, service.build()));
        Self { address, folder, runtime: Some(runtime) }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
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
            self.url(),
            file.display()
        )
    }

    /// Puts an object there, as somebody else who may write into the bucket.
    pub fn put(&self, key: &str, bytes: &[u8]) {
        let file = self.folder.path().join(BUCKET).join(key);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }

    /// Whether an object is there.
    pub fn has(&self, key: &str) -> bool {
        self.folder.path().join(BUCKET).join(key).is_file()
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
