//! A server with a folder of its own.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};
use csw_client::Client;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    Done, Result, Service, SmallDisk,
    command::{command, csw},
    template,
};

/// `csw up` with a folder of its own; both end with this value.
pub struct Server {
    folder: TempDir,
    running: Option<Running>,
    database: Option<String>,
    settings: Option<PathBuf>,
    /// Whether it serves pages alone: `csw webapp`.
    pages: bool,
    /// Further words of its command.
    words: Vec<String>,
    /// Variables of its environment.
    variables: Vec<(&'static str, String)>,
}

/// What a server with models stands on, where that is not a folder and a file.
#[derive(Debug, Clone, Default)]
pub struct Ground {
    /// A database of PostgreSQL, new and empty.
    pub postgres: Option<String>,
    /// The text of its configuration file.
    pub settings: Option<&'static str>,
}

struct Running {
    process: Child,
    url: String,
    listen: String,
}

#[derive(Deserialize)]
struct Ready {
    url: String,
    listen: String,
    pid: u32,
}

#[derive(Deserialize)]
struct Created {
    token: String,
}

/// Somebody with an account.
#[derive(Clone)]
pub struct Account {
    /// Their name.
    pub name: String,
    /// Their token.
    pub token: String,
}

impl Server {
    /// A server that has not even the environments of the tools.
    pub(crate) fn bare() -> Result<Self> {
        let mut server = Self::of(template::folder()?);
        server.start()?;
        Ok(server)
    }

    /// A server that has nothing yet.
    pub fn empty() -> Result<Self> {
        Self::asked(&[])
    }

    /// The same, with further words for `csw up`.
    pub fn asked(words: &[&str]) -> Result<Self> {
        let mut server = Self::of(template::with_tools()?);
        server.words = words.iter().map(ToString::to_string).collect();
        server.start()?;
        Ok(server)
    }

    /// The same, with variables in its environment.
    pub fn with_variables(variables: &[(&'static str, &'static str)]) -> Result<Self> {
        let mut server = Self::of(template::with_tools()?);
        server.variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        server.start()?;
        Ok(server)
    }

    /// A server with models that behave as real ones do.
    pub fn with_real_models() -> Result<Self> {
        let mut server = Self::of(template::copy(&template::REAL)?);
        server.start()?;
        Ok(server)
    }

    /// The same, with a configuration file.
    pub fn configured(settings: &str) -> Result<Self> {
        let mut server = Self::of(template::with_tools()?);
        server.configure(settings)?;
        server.start()?;
        Ok(server)
    }

    /// Gives it a configuration file, before it is started.
    pub fn configure(&mut self, settings: &str) -> Result {
        let path = self.folder.path().join("settings.toml");
        fs::write(&path, settings)?;
        self.settings = Some(path);
        Ok(())
    }

    /// A server with models that is not started yet.
    pub fn prepared() -> Result<Self> {
        Ok(Self::of(template::copy(&template::CONTRACT)?))
    }

    /// The same, for a server whose data folder others mount.
    pub fn prepared_whole() -> Result<Self> {
        Ok(Self::of(template::whole_copy(&template::CONTRACT)?))
    }

    /// A server on a copy of a data folder, not started yet.
    pub fn on_copy_of(data: &Path) -> Result<Self> {
        Ok(Self::of(template::copy_of(data)?))
    }

    /// Gives it a variable, before it is started.
    pub fn variable(&mut self, name: &'static str, value: String) {
        self.variables.push((name, value));
    }

    /// A server on which the accounts and models of [`template`] are: see [`Server::publisher`].
    pub fn with_models() -> Result<Self> {
        Self::with_models_on(Ground::default())
    }

    /// The same on this ground.
    pub fn with_models_on(ground: Ground) -> Result<Self> {
        Self::of(template::copy(&template::CONTRACT)?).stand_on(ground)
    }

    /// The same, its data folder a file system of so many bytes.
    pub fn with_models_on_small_disk(bytes: u64, ground: Ground) -> Result<(Self, SmallDisk)> {
        let (folder, disk) = template::copy_on_small_disk(bytes)?;
        Ok((Self::of(folder).stand_on(ground)?, disk))
    }

    fn of(folder: TempDir) -> Self {
        let (words, variables) = (Vec::new(), Vec::new());
        Self { folder, running: None, database: None, settings: None, pages: false, words, variables }
    }

    /// Makes it one that serves pages alone, on a database of PostgreSQL, before it is started.
    pub fn serve_pages(&mut self, database: &str) -> Result {
        template::move_to_postgres(&self.data(), database)?;
        self.database = Some(database.to_owned());
        self.pages = true;
        Ok(())
    }

    /// Another service of the same site: `csw WORDS`.
    pub fn service(&self, words: &[&str]) -> Result<Service> {
        let words = words.iter().map(ToString::to_string).collect();
        let mut variables = self.variables.clone();
        variables.extend(self.database.iter().map(|database| ("CSW_DATABASE", database.clone())));
        let settings = self.settings.clone().context("a site of services has settings")?;
        Ok(Service::new(words, self.data(), settings, variables, self.folder.path().join("services.log")))
    }

    fn stand_on(mut self, ground: Ground) -> Result<Self> {
        if let Some(url) = ground.postgres {
            template::move_to_postgres(&self.data(), &url)?;
            self.database = Some(url);
        }
        if let Some(text) = ground.settings {
            self.configure(text)?;
        }
        self.start()?;
        Ok(self)
    }

    /// A second server on the same database, with a folder of its own and these settings. It has none of the environments
    /// that the first one built.
    pub fn second(&self, settings: &str) -> Result<Self> {
        let mut server = Self::of(template::folder()?);
        server.database.clone_from(&self.database);
        server.configure(settings)?;
        server.start()?;
        Ok(server)
    }

    /// A server on a database of PostgreSQL that has nothing yet, started by [`Server::start`].
    pub fn on_postgres(url: &str) -> Result<Self> {
        let mut server = Self::of(template::folder()?);
        server.database = Some(url.to_owned());
        Ok(server)
    }

    /// Goes on with a database of PostgreSQL, and these settings.
    pub fn moved(&mut self, url: Option<&str>, settings: &str) -> Result {
        self.database = url.map(str::to_owned);
        self.configure(settings)?;
        self.start()
    }

    /// The account that published the models, an admin.
    pub fn publisher(&self) -> Result<Account> {
        let token = fs::read_to_string(self.data().join(template::TOKEN))?;
        Ok(Account { name: template::OWNER.to_owned(), token })
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Its data folder, as a word of a command.
    pub fn place(&self) -> String {
        self.data().display().to_string()
    }

    /// Where downloaded packages are kept, for all tests.
    pub fn packages(&self) -> Result<PathBuf> {
        template::packages()
    }

    /// Another place in its folder.
    pub fn beside(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Starts it again on the same folder.
    pub fn start(&mut self) -> Result {
        let mut process = self.spawn()?;
        let mut line = String::new();
        let stdout = process.stdout.take().context("the server's stdout")?;
        BufReader::new(stdout).read_line(&mut line)?;
        if line.is_empty() {
            process.wait()?;
            bail!("the server did not start: {}", self.log()?);
        }
        let ready: Ready = serde_json::from_str(&line)?;
        anyhow::ensure!(ready.pid == process.id(), "the line names another process");
        // Browsers find a site of several services elsewhere than at each of them.
        let url = if self.pages { format!("http://{}", ready.listen) } else { ready.url };
        self.running = Some(Running { process, url, listen: ready.listen });
        Ok(())
    }

    /// Starts it, and the power fails so long after.
    pub fn start_and_kill(&mut self, after: Duration) -> Result {
        let mut process = self.spawn()?;
        std::thread::sleep(after);
        process.kill()?;
        process.wait()?;
        Ok(())
    }

    fn spawn(&self) -> Result<Child> {
        let stderr = File::options().create(true).append(true).open(self.folder.path().join("server.log"))?;
        let mut command = command()?;
        if self.pages {
            command.arg("webapp");
        } else {
            command.args(["up", "--grace", "5", "--cache"]).arg(template::packages()?);
        }
        command.args(["--json", "--listen", "127.0.0.1:0", "--log", "json", "--data"]).arg(self.data());
        if let Some(database) = &self.database {
            command.args(["--database", database]);
        }
        if let Some(settings) = &self.settings {
            command.arg("--config").arg(settings);
        }
        // What no test looks at need not be drawn.
        command.env("CSW_THUMBNAILS", "false");
        command.args(&self.words).envs(self.variables.iter().map(|(name, value)| (name, value)));
        Ok(command.stdout(Stdio::piped()).stderr(stderr).spawn()?)
    }

    /// What a query finds in its database, or changes there; a row an object.
    pub fn query(&self, text: &str) -> Result<Vec<Value>> {
        const SCRIPT: &str = "import json, sqlite3, sys; db = sqlite3.connect(sys.argv[1], 30, isolation_level=None); db.row_factory = \
                              sqlite3.Row; print(json.dumps([dict(row) for row in db.execute(sys.argv[2])]))";
        let output = match &self.database {
            None => Command::new("python3").args(["-c", SCRIPT]).arg(self.data().join("csw.db")).arg(text).output()?,
            Some(url) => {
                let text = format!("SELECT COALESCE(json_agg(found), '[]') FROM ({text}) found");
                Command::new("psql").args(["-AtX", "-c", &text, url]).output()?
            }
        };
        Done::from(output).json()
    }

    /// Its process.
    pub fn process(&self) -> Result<i32> {
        Ok(self.running()?.process.id().cast_signed())
    }

    fn running(&self) -> Result<&Running> {
        self.running.as_ref().context("the server was stopped")
    }

    /// Its address.
    pub fn url(&self) -> Result<&str> {
        Ok(&self.running()?.url)
    }

    /// Where it listens.
    pub fn listen(&self) -> Result<&str> {
        Ok(&self.running()?.listen)
    }

    /// A client of it.
    pub fn client(&self, account: Option<&Account>) -> Result<Client> {
        Ok(Client::new(self.url()?, account.map(|account| account.token.as_str()))?)
    }

    /// Makes an account at the machine.
    pub fn account(&self, name: &str, role: &str) -> Result<Account> {
        let words = ["accounts", "create", name, "--role", role, "--data", &self.place(), "--json"];
        let database = self.database.as_deref().map(|url| ("CSW_DATABASE", url));
        let Created { token } = csw(&words, database.as_slice())?.json()?;
        Ok(Account { name: name.to_owned(), token })
    }

    /// Runs `csw` as this account.
    pub fn csw(&self, account: &Account, words: &[&str]) -> Result<Done> {
        csw(words, &[("CS_URL", self.url()?), ("CS_API_TOKEN", &account.token)])
    }

    /// Publishes what is in a folder, with more words for the command.
    pub fn publish(&self, account: &Account, name: &str, folder: &Path, words: &[&str]) -> Result<Done> {
        let repo = folder.display().to_string();
        let command = ["models", "-n", name, "publish", "--json", "--repo", &repo];
        self.csw(account, &[&command, words].concat())
    }

    /// The answer to a `GET`, whatever it is, with its headers.
    pub async fn fetch(
        &self,
        account: Option<&Account>,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<reqwest::Response> {
        // It sees to the cryptography that every client needs.
        self.client(None)?;
        let mut request = reqwest::Client::new().get(format!("{}{path}", self.url()?));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(account) = account {
            request = request.header("Authorization", format!("Token {}", account.token));
        }
        Ok(request.send().await?)
    }

    /// Bytes of memory that it needed at most so far.
    pub fn most_memory(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.running()?.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("the server's memory")?;
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kilobytes * 1024)
    }

    /// What it wrote to stderr so far.
    pub fn log(&self) -> Result<String> {
        Ok(fs::read_to_string(self.folder.path().join("server.log"))?)
    }

    /// The power fails.
    pub fn kill(&mut self) -> Result {
        let mut running = self.running.take().context("the server was stopped")?;
        running.process.kill()?;
        running.process.wait()?;
        Ok(())
    }

    /// Asks it to stop, and gives its exit code.
    pub fn stop(&mut self) -> Result<i32> {
        let mut running = self.running.take().context("the server was stopped")?;
        kill(Pid::from_raw(running.process.id().cast_signed()), Signal::SIGTERM)?;
        for _ in 0..600 {
            if let Some(status) = running.process.try_wait()? {
                return Ok(status.code().unwrap_or(-1));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        running.process.kill()?;
        running.process.wait()?;
        bail!("the server did not stop: {}", self.log()?)
    }

    /// Where the server keeps its folders, for a look at them.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(running) = &mut self.running {
            // What is left of it goes with the test.
            let _ = running.process.kill();
            let _ = running.process.wait();
        }
    }
}
