//! Pull requests.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Pulls {
    /// List those that are open
    List {
        /// Those that are merged or closed
        #[arg(long)]
        closed: bool,
    },
    /// Show one: its checks, commits and files
    Show {
        /// Its number
        number: u32,
        /// The lines that it changes, too
        #[arg(long)]
        patch: bool,
    },
    /// Propose a branch that was pushed; one that is proposed already is shown
    Open {
        /// The branch
        #[arg(long)]
        branch: String,
        /// Its title; the first line of the newest commit's message by default
        #[arg(long)]
        title: Option<String>,
        /// What to say of it, in markdown
        #[arg(long)]
        body: Option<String>,
        /// Wait for its checks; the exit code is 1 unless all pass
        #[arg(short, long)]
        wait: bool,
    },
    /// Merge one whose checks have passed: what they staged becomes live
    Merge {
        /// Its number
        number: u32,
        /// Whatever the checks say; for maintainers
        #[arg(long)]
        anyway: bool,
        /// Remove its branch afterwards
        #[arg(long)]
        delete_branch: bool,
    },
    /// Close one without merging it
    Close {
        /// Its number
        number: u32,
    },
}
