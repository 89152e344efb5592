//! `csw migrate`, as clap reads it.

use clap::{Args, ValueEnum};

use super::Place;

/// The kinds of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DatabaseWord {
    /// A file
    Sqlite,
    /// A server's
    Postgres,
}

#[derive(Debug, Args)]
pub(crate) struct Migrate {
    /// Kind of database that the site has
    #[arg(long, value_enum)]
    pub(crate) from: DatabaseWord,
    /// Kind of database that it gets
    #[arg(long, value_enum)]
    pub(crate) to: DatabaseWord,
    /// The SQLite file, where it is not csw.db in the data folder
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<std::path::PathBuf>,
    /// Also send outputs from the data folder to the bucket of [objects] in the settings
    #[arg(long)]
    pub(crate) objects: bool,
    #[command(flatten)]
    pub(crate) place: Place,
}
