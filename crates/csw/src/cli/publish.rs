//! A publish repository: making one, and what its workflows call.

use std::path::PathBuf;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum PublishVerb {
    /// Make a publish repository, or what one lacks; what is there stays
    Init {
        /// Its folder
        #[arg(value_name = "DIR", default_value = ".")]
        dir: PathBuf,
    },
    /// Build, test and stage the models whose files have changed
    Stage {
        /// Commit that HEAD is compared with
        #[arg(long, value_name = "COMMIT")]
        changed_since: String,
        /// Text in which `[skip test]` counts, such as the title of a pull request; may be repeated. So does the newest
        /// commit's message
        #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
        said: Vec<String>,
    },
    /// Make live what the newest builds of the models staged whose files have changed
    Promote {
        /// Commit that HEAD is compared with
        #[arg(long, value_name = "COMMIT")]
        changed_since: String,
        /// Do not wait for comparisons with the live versions
        #[arg(long)]
        skip_comparison: bool,
    },
    /// List the models whose files have changed
    Changed {
        /// Commit that HEAD is compared with
        #[arg(long, value_name = "COMMIT")]
        changed_since: String,
    },
}
