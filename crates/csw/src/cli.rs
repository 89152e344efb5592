//! The command line, as clap reads it.

pub(crate) mod accounts;
pub(crate) mod build;
mod job;
pub(crate) mod migrate;
pub(crate) mod publish;
pub(crate) mod pulls;
mod services;
mod svc;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::{
    accounts::{Accounts, BudgetVerb, TrustVerb},
    job::{ApiTask, BuildJob, Job},
    services::{Outputs, Scheduler, Thumbnails, Webapp},
    svc::{SecretPlace, SiteSecrets, Svc},
};
use crate::{failure::EXIT_CODES, settings::ExecutorWord};

/// Compute Studio: publish computational models, run them from a form or an API, keep every result.
#[derive(Debug, Parser)]
#[command(name = "csw", version, after_help = EXIT_CODES, propagate_version = true, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Print results as JSON, one document a line; words about them go to stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Configuration file; by default csw/config.toml in the user's configuration folder
    #[arg(long, global = true, env = "CSW_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve a site: pages, API, queue and runs, in one process
    Up(Up),
    /// Serve pages and REST API of a site whose runs a scheduler looks after; in any number of processes
    Webapp(Webapp),
    /// Look after the runs and builds of a site in a cluster; of several processes one works
    Scheduler(Scheduler),
    /// Take outputs of Jobs on their way to the bucket; in any number of processes
    Outputs(Outputs),
    /// Draw thumbnails of outputs, apart from everything else; in any number of processes
    Thumbnails(Thumbnails),
    /// Accounts of a site, on its own machine, also while it is up
    Accounts {
        #[command(subcommand)]
        verb: Accounts,
    },
    /// Services of a site
    Svc {
        #[command(subcommand)]
        verb: Svc,
    },
    /// Models: publish a version, look at them, promote, roll back
    Models {
        /// The model
        #[arg(short = 'n', long = "name", global = true, value_name = "OWNER/TITLE")]
        name: Option<String>,
        #[command(flatten)]
        server: Server,
        #[command(subcommand)]
        verb: Models,
    },
    /// A repository whose pull requests publish models; without a verb: open the pull request of a model, or add to it
    Publish {
        /// The model
        #[arg(short = 'n', long = "name", global = true, value_name = "OWNER/TITLE")]
        name: Option<String>,
        #[command(flatten)]
        server: Server,
        /// Leave the model's own tests out; its four functions are checked anyway
        #[arg(long, global = true)]
        skip_test: bool,
        #[command(subcommand)]
        verb: Option<publish::PublishVerb>,
    },
    /// Simulations: run a model, follow a run, fetch its outputs
    Sims {
        /// The model
        #[arg(short = 'n', long = "name", global = true, value_name = "OWNER/TITLE")]
        name: Option<String>,
        #[command(flatten)]
        server: Server,
        #[command(subcommand)]
        verb: Sims,
    },
    /// What runs have cost, by payer, account and model
    Costs {
        #[command(flatten)]
        server: Server,
        /// Of which month, as 2026-11 [default: the present one]
        #[arg(long, value_name = "MONTH")]
        month: Option<String>,
        /// Of another account, or of all with *; for admins
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
        /// Print comma-separated values
        #[arg(long)]
        csv: bool,
    },
    /// Check a model as publishing does, in your own working tree, without a server
    Check(Check),
    /// Settings: what each is, and who said so
    Config {
        #[command(subcommand)]
        verb: Config,
    },
    /// Print what a shell needs to complete commands
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write those of all commands into a folder
    Man {
        /// Folder for the pages
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Say what this machine has of what runs and builds need, and what each absence costs; tries the bucket of outputs
    Doctor {
        #[command(flatten)]
        place: Place,
    },
    /// Carry out one run inside the Job that a server made for it; it has no use for people
    #[command(hide = true)]
    Job(Job),
    /// Carry out one build inside the Job that a server made for it; it has no use for people
    #[command(hide = true)]
    BuildJob(BuildJob),
    /// Answer what is asked of a version before its runs, inside a pod of a cluster; it has no use for people
    #[command(hide = true)]
    ApiTask(ApiTask),
    /// Copy a site, also while it is up
    Backup {
        #[command(flatten)]
        place: Place,
        /// Folder for the copy; it must not exist, or be empty
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    /// Make a data folder from a backup, and prove that nothing is missing
    Restore {
        /// The backup
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Move a site that is down to another kind of database, and its outputs to a bucket
    Migrate(migrate::Migrate),
}

/// The site's folder and database.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Place {
    /// Data folder [default: ./data]
    #[arg(long, env = "CSW_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// Database: a path for SQLite, or a postgres:// URL [default: csw.db in the data folder]
    #[arg(long, env = "CSW_DATABASE", value_name = "PATH_OR_URL", hide_env_values = true)]
    pub(crate) database: Option<String>,
}

/// What a process that works is put together from.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Workshop {
    #[command(flatten)]
    pub(crate) place: Place,

    /// Cache of downloaded packages, which several sites may share [default: cache in the data folder]
    #[arg(long, env = "CSW_CACHE", value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,

    /// Let models be published from paths and file:// URLs of this machine
    #[arg(long, env = "CSW_ALLOW_LOCAL_REPOSITORIES")]
    pub(crate) allow_local_repositories: bool,
}

/// Where pages are served, and for how long after a process was asked to stop.
#[derive(Debug, Args)]
pub(crate) struct Front {
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, env = "CSW_LISTEN", value_name = "ADDR:PORT")]
    pub(crate) listen: Option<String>,

    /// Where browsers find the site, if not where it listens
    #[arg(long, env = "CSW_PUBLIC_URL", value_name = "URL")]
    pub(crate) public_url: Option<String>,

    /// Seconds to go on answering when asked to stop, while /readyz says so: for whoever sends requests here to hear of it
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) drain: u32,
}

/// The server to ask.
#[derive(Debug, Clone, Args)]
pub(crate) struct Server {
    /// Address of the server [default: http://127.0.0.1:8080]
    #[arg(long, env = "CS_URL", global = true, value_name = "URL")]
    pub(crate) url: Option<String>,

    /// Token to ask with
    #[arg(long, env = "CS_API_TOKEN", global = true, value_name = "TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) workshop: Workshop,

    #[command(flatten)]
    pub(crate) front: Front,

    /// Where runs execute [default: local]
    #[arg(long, env = "CSW_EXECUTOR", value_enum, value_name = "WHERE")]
    pub(crate) executor: Option<ExecutorWord>,

    /// Seconds that runs get to finish when the server is asked to stop; the others go back to the queue
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    pub(crate) grace: u32,

    /// Form of the log on stderr [default: text on a terminal, json elsewhere]
    #[arg(long, value_enum, value_name = "FORM")]
    pub(crate) log: Option<LogForm>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogForm {
    /// Lines for people
    Text,
    /// A JSON object a line
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Models {
    /// Build a version and make it live; makes the model first if it is new
    Publish(Publish),
    /// Build a version that its maintainers try before it is promoted
    Stage(Publish),
    /// Look at a repository before it is published: what is there, what is missing, and the way out
    Look(Look),
    /// List the models
    List,
    /// Show one model
    Show {
        /// Print the bill of materials of a version: CycloneDX 1.5, as JSON
        #[arg(long, value_name = "VERSION")]
        sbom: Option<String>,
    },
    /// List the versions of a model
    Versions,
    /// Run the simulations that are looked at most again on a staged version, and show what is different
    Compare {
        /// The version, named as for `promote`. The newest staged one by default
        #[arg(id = "wanted", value_name = "VERSION")]
        version: Option<String>,
        /// Compare again what was compared before
        #[arg(long)]
        again: bool,
    },
    /// Make a version live, an older one too; takes no time
    Promote {
        /// Its identifier, digest or commit, or the beginning of one; or what its `get_version` says. The newest staged
        /// one by default
        // `version` is clap's own name of `--version`.
        #[arg(id = "wanted", value_name = "VERSION")]
        version: Option<String>,
        /// Do not wait for its comparison with the live version
        #[arg(long)]
        skip_comparison: bool,
    },
    /// Make the version live that was so before
    Rollback,
    /// Show or set who pays for everybody's runs of a model
    Sponsor {
        /// Their name; shows the present one where left out
        account: Option<String>,
        /// A note of theirs, markdown
        #[arg(long, value_name = "TEXT", requires = "account")]
        message: Option<String>,
        /// Let everybody pay for their own again
        #[arg(long, conflicts_with = "account")]
        none: bool,
    },
    /// List the builds, newest first
    Builds,
    /// Stop a build
    Cancel {
        /// The build
        build: String,
    },
    /// Build a version on this machine, without a server; its image too, with --image
    Build(build::Build),
    /// Check the four functions and run the model's own tests on this machine, without a server
    Test(build::Test),
    /// Send an image that was built here to a registry
    Push(build::Push),
    /// Write the objects that the live version has in the site's cluster besides its runs, for `kubectl apply -f -`
    Config {
        /// File for them; - is stdout
        #[arg(short, long, value_name = "FILE", default_value = "-")]
        out: PathBuf,
    },
    /// Show the log of a build
    Logs {
        /// The build; the newest by default
        build: Option<String>,
    },
    /// Pull requests of a model's repository; without -n those of the site's publish repository
    Pulls {
        #[command(subcommand)]
        verb: pulls::Pulls,
    },
    /// Secrets of a model: environment variables of its runs and tests
    Secrets {
        #[command(subcommand)]
        verb: ModelSecrets,
    },
}

/// Where a value comes from. On a command line every user of the machine may read it.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct SecretInput {
    /// The value; - reads it from stdin, which other users of this machine can't see
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    pub(crate) secret_value: Option<String>,
    /// File that holds the value; the end of its last line is not part of it
    #[arg(long, value_name = "FILE")]
    pub(crate) secret_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ModelSecrets {
    /// Set a secret; one of this name gets a new version
    Set {
        /// Its name, which is the name of the environment variable
        #[arg(long, value_name = "NAME")]
        secret_name: String,
        #[command(flatten)]
        value: SecretInput,
    },
    /// Print the value of a secret
    Get {
        /// Its name
        secret: String,
    },
    /// Print all secrets with their values as a JSON object
    List {
        /// Names, who set them and when, without any value
        #[arg(long)]
        names: bool,
    },
    /// Delete a secret with all its versions
    Delete {
        /// Its name
        secret: String,
    },
    /// Show who set, read and deleted what
    Audit,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Show every setting; secrets are masked
    Show {
        /// Say where each value came from: a flag, a variable, a file, or nowhere
        #[arg(long)]
        origin: bool,
        #[command(flatten)]
        server: Server,
        #[command(flatten)]
        up: Up,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// A folder on this machine, whose files are uploaded, or a URL that the server fetches
    #[arg(long, value_name = "PATH_OR_URL")]
    pub(crate) repo: String,
    /// Branch, tag or commit
    #[arg(long, value_name = "REF")]
    pub(crate) tag: Option<String>,
    /// Resolve packages as they were at this date
    #[arg(long, value_name = "DATE")]
    pub(crate) as_of: Option<String>,
    /// Make no public simulation of the default inputs for a model that has none yet
    #[arg(long)]
    pub(crate) no_example: bool,
    /// Leave the model's own tests out; its four functions are checked anyway
    #[arg(long)]
    pub(crate) skip_test: bool,
    /// Make it live without running the simulations that are looked at most on it first
    #[arg(long)]
    pub(crate) skip_comparison: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Look {
    /// A URL that the server fetches, or a folder on this machine
    #[arg(long, value_name = "PATH_OR_URL", default_value = ".")]
    pub(crate) repo: String,
    /// Branch, tag or commit
    #[arg(long, value_name = "REF")]
    pub(crate) tag: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Sims {
    /// Run a model
    Create(CreateSim),
    /// Show a simulation
    Show {
        /// Its number
        number: u32,
    },
    /// List your simulations
    List {
        /// Only those with this text in their title
        #[arg(long)]
        search: Option<String>,
        /// Only those with this status
        #[arg(long)]
        status: Option<String>,
        /// Part of the list
        #[arg(long, default_value_t = 1)]
        page: u32,
    },
    /// Show the log of its run
    Log {
        /// Its number
        number: u32,
        /// Go on until the run is over
        #[arg(short, long)]
        follow: bool,
    },
    /// Stop it
    Cancel {
        /// Its number
        number: u32,
    },
    /// List its outputs
    Outputs {
        /// Its number
        number: u32,
    },
    /// Save its outputs as files
    Download {
        /// Its number
        number: u32,
        /// Folder for the files
        #[arg(long, value_name = "DIR", default_value = ".")]
        to: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateSim {
    /// JSON file with `meta_parameters` and `adjustment`; - reads stdin
    #[arg(long, value_name = "FILE")]
    pub(crate) inputs: Option<PathBuf>,
    /// Values of meta parameters, as JSON
    #[arg(long, value_name = "JSON")]
    pub(crate) meta_parameters: Option<String>,
    /// Changed parameters by section, as JSON
    #[arg(long, value_name = "JSON")]
    pub(crate) adjustment: Option<String>,
    /// Title
    #[arg(long)]
    pub(crate) title: Option<String>,
    /// Let everybody see it
    #[arg(long)]
    pub(crate) public: bool,
    /// A version other than the live one: its identifier, digest or commit, or the beginning of one
    #[arg(id = "wanted", long = "model-version", value_name = "VERSION")]
    pub(crate) version: Option<String>,
    /// Run again, though an earlier result could answer
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Wait for its end; the exit code is 1 unless it succeeds
    #[arg(short, long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The model's folder, with `cs-config` in it
    #[arg(value_name = "PATH", default_value = ".")]
    pub(crate) path: PathBuf,
    /// The model's name; by default the names of the folder and the one above
    #[arg(short = 'n', long = "name", value_name = "OWNER/TITLE")]
    pub(crate) name: Option<String>,
    /// Resolve packages as they were at this date
    #[arg(long, value_name = "DATE")]
    pub(crate) as_of: Option<String>,
    /// A variable of your environment that the model has as a secret; may be given several times
    #[arg(long = "secret", value_name = "NAME")]
    pub(crate) secrets: Vec<String>,
    /// Where environments are kept between checks [default: csw-check in the user's cache folder]
    #[arg(long, env = "CSW_CHECK_CACHE", value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_documented_forms_are_read() {
        let forms: &[&[&str]] = &[
            &["csw", "up", "--data", "d", "--listen", "127.0.0.1:0", "--json"],
            &["csw", "accounts", "create", "ann", "--role", "admin", "--data", "d", "--json"],
            &["csw", "models", "-n", "ann/Null", "publish", "--repo", ".", "--tag", "v1"],
            &["csw", "models", "publish", "-n", "ann/Null", "--repo", "https://example.org/r"],
            &["csw", "models", "-n", "ann/Null", "stage", "--repo", ".", "--skip-test"],
            &["csw", "models", "look", "--repo", "https://example.org/r", "--tag", "v1"],
            &["csw", "models", "-n", "ann/Null", "promote"],
            &["csw", "models", "-n", "ann/Null", "promote", "1.0", "--skip-comparison"],
            &["csw", "models", "-n", "ann/Null", "compare", "--again"],
            &["csw", "models", "-n", "ann/Null", "rollback"],
            &["csw", "sims", "-n", "ann/Null", "create", "--adjustment", "{}", "--wait", "--json"],
            &["csw", "check", "."],
            &["csw", "models", "-n", "ann/Null", "build", "--image", "--repo", ".", "--tag", "v1", "--base", "b"],
            &["csw", "models", "-n", "ann/Null", "build", "--builder-flag", "--isolation=chroot"],
            &["csw", "models", "-n", "ann/Null", "push", "--registry", "ghcr.io/me", "--tag", "v1", "--insecure"],
            &["csw", "models", "-n", "ann/Null", "test", "--repo", "https://example.org/r"],
            &["csw", "models", "-n", "ann/Null", "show", "--sbom", "1.0", "--json"],
            &["csw", "models", "-n", "ann/Null", "config"],
            &["csw", "models", "-n", "ann/Null", "config", "-o", "-"],
            &["csw", "publish", "-n", "ann/Null"],
            &["csw", "publish", "-n", "ann/Null", "--skip-test"],
            &["csw", "publish", "init", "d"],
            &["csw", "publish", "stage", "--changed-since=c0ffee", "--said=-x", "--said=", "--skip-test"],
            &["csw", "publish", "promote", "--changed-since", "c0ffee"],
            &["csw", "publish", "changed", "--changed-since", "c0ffee", "--json"],
            &["csw", "models", "pulls", "list", "--closed"],
            &["csw", "models", "-n", "ann/Null", "pulls", "open", "--branch", "idea", "--title", "t", "--wait"],
            &["csw", "models", "pulls", "merge", "3", "--anyway", "--delete-branch"],
            &["csw", "models", "-n", "ann/Null", "pulls", "show", "3", "--patch"],
            &["csw", "models", "pulls", "close", "3"],
            &["csw", "svc", "config"],
            &["csw", "config", "show", "--origin", "--data", "d", "--json"],
            &["csw", "completion", "fish"],
            &["csw", "man", "--out", "d"],
            &["csw", "svc", "secrets", "set", "--secret-name", "mysecret", "--secret-value", "helloworld"],
            &["csw", "svc", "secrets", "get", "--secret-name", "mysecret", "--data", "d"],
            &["csw", "svc", "secrets", "rotate", "--data", "d"],
            &["csw", "models", "-n", "a/B", "secrets", "set", "--secret-name", "super", "--secret-value", "-"],
            &["csw", "models", "-n", "a/B", "secrets", "get", "super"],
            &["csw", "models", "-n", "a/B", "secrets", "list"],
            &["csw", "models", "-n", "a/B", "secrets", "delete", "super"],
            &["csw", "backup", "--data", "d", "--to", "b"],
            &["csw", "restore", "--from", "b", "--data", "d"],
        ];
        for form in forms {
            assert!(Cli::try_parse_from(*form).is_ok(), "{form:?}");
        }
    }
}
