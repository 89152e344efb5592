//! A real PostgreSQL on a free port, started for this process and stopped with it.

use std::{
    net::TcpListener,
    os::unix::fs::{PermissionsExt, chown},
    path::PathBuf,
    process::Command,
    sync::OnceLock,
};

use csw_store::SqlStore;

const UNPRIVILEGED: u32 = 65_534;

/// A running server.
pub struct Postgres {
    folder: PathBuf,
    port: u16,
}

fn binaries() -> PathBuf {
    let mut found: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is not installed: apt-get install postgresql")
        .map(|entry| entry.unwrap().path().join("bin"))
        .collect();
    found.sort();
    found.pop().expect("PostgreSQL is not installed: apt-get install postgresql")
}

fn command(program: &str) -> Command {
    let path = binaries().join(program);
    if std::env::var("USER").as_deref() == Ok("root")
        || std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
    {
        let mut command = Command::new("setpriv");
        command
            .args([&format!("--reuid={UNPRIVILEGED}"), &format!("--regid={UNPRIVILEGED}"), "--clear-groups"])
            .arg(path);
        command
    } else {
        Command::new(path)
    }
}

fn must(mut command: Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Postgres {
    /// The server of this process.
    pub fn shared() -> &'static Self {
        static SERVER: OnceLock<Postgres> = OnceLock::new();
        SERVER.get_or_init(Self::start)
    }

    fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("csw-postgres-{}", uuid::Uuid::new_v4()));
        std::fs::create_dir(&folder).unwrap();
        let password = folder.join("password");
        std::fs::write(&password, "secret").unwrap();
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o700)).unwrap();
        // Without the right to, the folder is ours anyway.
        let _ = chown(&password, Some(UNPRIVILEGED), Some(UNPRIVILEGED));
        let _ = chown(&folder, Some(UNPRIVILEGED), Some(UNPRIVILEGED));
        let data = folder.join("data");
        let mut initdb = command("initdb");
        initdb.args(["-A", "scram-sha-256", "-U", "csw", "--pwfile"]).arg(&password).arg(&data).current_dir("/");
        must(initdb);
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut start = command("pg_ctl");
        let options = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} -c fsync=off",
            folder.display()
        );
        start
            .args(["-w", "-l"])
            .arg(folder.join("log"))
            .args(["-o", &options, "-D"])
            .arg(&data)
            .arg("start")
            .current_dir("/");
        start.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        assert!(start.status().unwrap().success(), "PostgreSQL does not start");
        Self { folder, port }.stopped_at_exit()
    }

    /// A watcher outlives this process and stops the server.
    #[allow(clippy::zombie_processes, reason = "it waits for us, not we for it")]
    fn stopped_at_exit(self) -> Self {
        let script = format!(
            "while kill -0 {} 2>/dev/null; do sleep 0.5; done; kill -INT $(head -1 {1}/data/postmaster.pid); sleep 1; rm -rf {1}",
            std::process::id(),
            self.folder.display()
        );
        Command::new("setsid")
            .args(["sh", "-c", &script])
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        self
    }

    /// The address of a new database.
    pub fn fresh_url(&self, name: &str) -> String {
        let url = |database: &str| format!("postgres://csw:secret@127.0.0.1:{}/{database}", self.port);
        let name = format!("{name}_{}", uuid::Uuid::new_v4().simple());
        let mut create = Command::new(binaries().join("psql"));
        create.arg(url("postgres")).arg("-c").arg(format!("CREATE DATABASE {name}"));
        must(create);
        url(&name)
    }

    /// A store on a database of its own.
    #[allow(dead_code, reason = "each test binary uses what it needs")]
    pub async fn fresh(&self, name: &str) -> SqlStore {
        SqlStore::open_postgres(&self.fresh_url(name), 8).await.unwrap()
    }
}
