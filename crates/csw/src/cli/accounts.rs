//! `csw accounts`, as clap reads it.

use clap::{Subcommand, ValueEnum};
use csw_core::access::AccountRole;

use super::{Place, Server};

/// The site-wide roles, as words of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleWord {
    /// Runs models, publishes their own
    Member,
    /// Also approves and promotes the models of others
    Maintainer,
    /// May do everything
    Admin,
}

impl From<RoleWord> for AccountRole {
    fn from(word: RoleWord) -> Self {
        match word {
            RoleWord::Member => Self::Member,
            RoleWord::Maintainer => Self::Maintainer,
            RoleWord::Admin => Self::Admin,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Accounts {
    /// Make an account with a token, which is shown once
    Create {
        /// Its name
        name: String,
        /// What it may do on the whole site
        #[arg(long, value_enum, default_value = "member")]
        role: RoleWord,
        /// Its address for mail
        #[arg(long, default_value = "")]
        email: String,
        /// Read its password from stdin; without one it can only use tokens
        #[arg(long)]
        password_stdin: bool,
        /// What to call the token
        #[arg(long, default_value = "csw", value_name = "NAME")]
        token_name: String,
        #[command(flatten)]
        place: Place,
    },
    /// List the accounts
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Workflows on GitHub that publish in the name of an account, without a stored token
    Trust {
        #[command(flatten)]
        server: Server,
        /// Another account, for admins [default: that of the token]
        #[arg(long, global = true, value_name = "NAME")]
        account: Option<String>,
        #[command(subcommand)]
        verb: TrustVerb,
    },
    /// What an account may spend in a month
    Budget {
        #[command(subcommand)]
        verb: BudgetVerb,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum BudgetVerb {
    /// Show the budget of an account, and what is spent of it
    Show {
        /// The account
        name: String,
        #[command(flatten)]
        place: Place,
    },
    /// Set it
    Set {
        /// The account
        name: String,
        /// Dollars a month, or `default` for what the site gives everybody
        monthly: String,
        #[command(flatten)]
        place: Place,
    },
}

/// Trust of an account in workflows.
#[derive(Debug, Subcommand)]
pub(crate) enum TrustVerb {
    /// Trust the workflows of a repository on GitHub
    Add {
        /// The repository
        #[arg(long, value_name = "OWNER/NAME")]
        repository: String,
        /// Branch that they run on, or in full refs/...; a * at its end stands for anything
        #[arg(long = "ref", value_name = "REF", default_value = "main")]
        reference: String,
        /// Environment that a job must have been admitted to [default: any]
        #[arg(long, value_name = "NAME")]
        environment: Option<String>,
        /// Model that they may publish; may be repeated [default: all that the account may]
        #[arg(long = "model", value_name = "OWNER/TITLE")]
        models: Vec<String>,
        /// They may stage versions, and not make them live
        #[arg(long)]
        stage_only: bool,
    },
    /// List what is trusted
    List,
    /// Trust no more
    Remove {
        /// Which, as `list` shows it
        id: String,
    },
}
