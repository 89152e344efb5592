//! A real PostgreSQL on a free port, started for this process and stopped with it.

use std::{
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

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

/// The files of a server that has no database yet. They are made once for each build folder: every test that is a process
/// of its own needs them, and making them takes longer than most of these tests.
fn template(work: &Path) -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let place = program.ancestors().nth(2).unwrap().join("tests-postgres");
    std::fs::create_dir_all(&place).unwrap();
    let lock = std::fs::File::create(place.join("lock")).unwrap();
    lock.lock().unwrap();
    let version = binaries().ancestors().nth(1).unwrap().file_name().unwrap().to_owned();
    let made = place.join(version);
    if !made.exists() {
        let (password, data) = (work.join("password"), work.join("new"));
        std::fs::write(&password, "secret").unwrap();
        let _ = chown(&password, Some(UNPRIVILEGED), Some(UNPRIVILEGED));
        let mut initdb = command("initdb");
        initdb.args(["-A", "scram-sha-256", "-U", "csw", "--pwfile"]).arg(&password).arg(&data).current_dir("/");
        must(initdb);
        let part = place.join("part");
        let _ = std::fs::remove_dir_all(&part);
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(&data).arg(&part);
        must(copy);
        std::fs::rename(part, &made).unwrap();
    }
    made
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
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o700)).unwrap();
        // Without the right to, the folder is ours anyway.
        let _ = chown(&folder, Some(UNPRIVILEGED), Some(UNPRIVILEGED));
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(template(&folder)).arg(folder.join("data"));
        must(copy);
        let port = csw_testing::free_address().unwrap().port();
        let server = Self { folder, port };
        server.begin();
        server.stopped_at_exit()
    }

    fn control(&self) -> Command {
        let mut control = command("pg_ctl");
        control.arg("-D").arg(self.folder.join("data")).arg("-w").current_dir("/");
        control.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        control
    }

    /// Starts it, again where it was ended.
    pub fn begin(&self) {
        let options =
            format!("-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off", self.port);
        let mut start = self.control();
        start.arg("-l").arg(self.folder.join("log")).args(["-o", &options, "start"]);
        assert!(start.status().unwrap().success(), "PostgreSQL does not start");
    }

    /// Ends it in the middle of whatever its clients do.
    pub fn end(&self) {
        let mut stop = self.control();
        stop.args(["-m", "immediate", "stop"]);
        assert!(stop.status().unwrap().success(), "PostgreSQL does not stop");
    }

    /// Refuses all writes, or takes them again, of connections that are open too.
    pub fn read_only(&self, refused: bool) {
        let state = if refused { "on" } else { "off" };
        let change = format!("ALTER SYSTEM SET default_transaction_read_only = {state}");
        self.ask("postgres", &["SET default_transaction_read_only = off", &change, "SELECT pg_reload_conf()"]);
    }

    /// Stops all its processes where they stand, or lets them go on: it neither answers nor hangs up.
    pub fn freeze(&self, frozen: bool) {
        let pid_file = std::fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        let main = pid_file.lines().next().unwrap();
        let others = std::fs::read_to_string(format!("/proc/{main}/task/{main}/children")).unwrap();
        let mut signal = Command::new("kill");
        signal.arg(if frozen { "-STOP" } else { "-CONT" }).arg(main).args(others.split_whitespace());
        // One of them may have ended on its own.
        signal.stderr(std::process::Stdio::null()).status().unwrap();
    }

    /// Hangs up on everybody who uses the database at this address.
    pub fn hang_up(&self, url: &str) {
        let name = url.rsplit('/').next().unwrap();
        let others = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
        self.ask("postgres", &[&others]);
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://csw:secret@127.0.0.1:{}/{database}", self.port)
    }

    fn ask(&self, database: &str, statements: &[&str]) {
        let mut ask = Command::new(binaries().join("psql"));
        for statement in statements {
            ask.args(["-c", statement]);
        }
        ask.arg(self.url(database));
        must(ask);
    }

    /// A watcher outlives this process and stops the server.
    #[allow(clippy::zombie_processes, reason = "it waits for us, not we for it")]
    fn stopped_at_exit(self) -> Self {
        let script = format!(
            "while kill -0 {} 2>/dev/null; do sleep 0.5; done; main=$(head -1 {1}/data/postmaster.pid); \
             kill -INT $main; kill -CONT $main $(cat /proc/$main/task/$main/children); sleep 1; rm -rf {1}",
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
        let name = format!("{name}_{}", uuid::Uuid::new_v4().simple());
        self.ask("postgres", &[&format!("CREATE DATABASE {name}")]);
        self.url(&name)
    }
}
