//! `csw svc`, as clap reads it.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{SecretInput, build::Services};

#[derive(Debug, Subcommand)]
pub(crate) enum Svc {
    /// Secrets of the site, on its own machine, also while it is up
    Secrets {
        #[command(flatten)]
        place: SecretPlace,
        #[command(subcommand)]
        verb: SiteSecrets,
    },
    #[command(flatten)]
    Cluster(Services),
}

/// The site's folder and database, before or behind the verb.
#[derive(Debug, Clone, Args)]
pub(crate) struct SecretPlace {
    /// Data folder [default: ./data]
    #[arg(long, env = "CSW_DATA", value_name = "DIR", global = true)]
    pub(crate) data: Option<PathBuf>,

    /// Database: a path for SQLite, or a postgres:// URL [default: csw.db in the data folder]
    #[arg(long, env = "CSW_DATABASE", value_name = "PATH_OR_URL", hide_env_values = true, global = true)]
    pub(crate) database: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SiteSecrets {
    /// Set a secret; one of this name gets a new version
    Set {
        /// Its name
        #[arg(long, value_name = "NAME")]
        secret_name: String,
        #[command(flatten)]
        value: SecretInput,
    },
    /// Print the value of a secret
    Get {
        /// Its name
        #[arg(long, value_name = "NAME")]
        secret_name: String,
        /// A former version of it
        // `version` is clap's own name of `--version`.
        #[arg(long = "secret-version", value_name = "NUMBER")]
        number: Option<u32>,
    },
    /// List the secrets, without their values
    List,
    /// Delete a secret with all its versions
    Delete {
        /// Its name
        #[arg(long, value_name = "NAME")]
        secret_name: String,
    },
    /// Make a new master key, and seal all secrets with it, those of models too
    Rotate,
    /// Show who did what with any secret, those of models too
    Audit,
}
