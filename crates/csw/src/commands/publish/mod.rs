//! `csw publish`: a repository whose pull requests publish models, and what its workflows call.

mod changed;
mod init;
mod open;
mod repository;
mod site;

use std::path::{Path, PathBuf};

use self::repository::Repository;
use crate::{
    cli::{Server, publish::PublishVerb},
    failure::{Failure, Outcome},
    output::Printer,
    settings::Settings,
};

pub(crate) async fn run(
    settings: &Settings,
    server: &Server,
    name: Option<&str>,
    skip_test: bool,
    verb: Option<PublishVerb>,
    printer: Printer,
) -> Outcome {
    let Some(verb) = verb else {
        let name = name.ok_or_else(|| {
            Failure::usage("which model?", "name it with `-n OWNER/TITLE`; `csw publish --help` lists the verbs")
        })?;
        return open::run(settings, server, name, skip_test, printer).await;
    };
    if let PublishVerb::Init { dir } = &verb {
        return init::run(dir, printer);
    }
    let repository = here()?;
    match verb {
        PublishVerb::Init { .. } => Ok(()),
        PublishVerb::Stage { changed_since, said } => {
            let models = changed::models(&repository, &changed_since, name, printer)?;
            let skip = skip_test || changed::says_skip(&repository, &said)?;
            changed::stage(&settings.client(server)?, &models, skip, printer).await
        }
        PublishVerb::Promote { changed_since, skip_comparison } => {
            let models = changed::models(&repository, &changed_since, name, printer)?;
            changed::promote(&settings.client(server)?, &models, skip_comparison, printer).await
        }
        PublishVerb::Changed { changed_since } => {
            let models = changed::models(&repository, &changed_since, name, printer)?;
            let names: Vec<String> = models.iter().map(|(name, _)| name.to_string()).collect();
            printer.result(&names, || names.join("\n"))
        }
    }
}

/// The publish repository that the command is given in.
fn here() -> Outcome<Repository> {
    let folder: PathBuf = std::env::current_dir().map_err(|error| Failure::file(Path::new("."), &error))?;
    Repository::around(&folder)
}
