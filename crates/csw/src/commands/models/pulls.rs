//! `csw models pulls`: pull requests of a model's repository, or of the publish repository where no model is named.

use std::time::Duration;

use csw_client::{Client, ClientError, Pull};
use csw_core::repository::PUBLISH;

use crate::{
    cli::pulls::Pulls,
    commands::named,
    failure::{Failure, Outcome},
    output::{Printer, table},
};

/// Between two looks at checks that are not over.
const PAUSE: Duration = Duration::from_millis(500);

pub(crate) async fn run(client: &Client, name: Option<&str>, verb: Pulls, printer: Printer) -> Outcome {
    let repository = name.map_or(Ok(PUBLISH), |name| named(Some(name)))?;
    match verb {
        Pulls::List { closed } => list(client, repository, !closed, printer).await,
        Pulls::Show { number, patch } => {
            let pull = client.pull(repository, number).await?;
            printer.result(&pull, || shown(client, &pull, patch))
        }
        Pulls::Open { branch, title, body, wait } => {
            let title = title.unwrap_or_default();
            let opened = client.open_pull(repository, &branch, &title, &body.unwrap_or_default()).await?;
            printer.note(&format!("#{} {}{}", opened.number, client.url(), opened.url));
            let pull = if wait { finished(client, repository, opened, printer).await? } else { opened };
            printer.result(&pull, || shown(client, &pull, false))?;
            if wait && !pull.passed { Err(failed(&pull)) } else { Ok(()) }
        }
        Pulls::Merge { number, anyway, delete_branch } => {
            let pull = client.merge_pull(repository, number, anyway, delete_branch).await?;
            printer.result(&pull, || format!("#{number} is merged. {}", pull.message.clone().unwrap_or_default()))
        }
        Pulls::Close { number } => {
            let pull = client.close_pull(repository, number).await?;
            printer.result(&pull, || format!("#{number} is closed"))
        }
    }
}

async fn list(client: &Client, repository: &str, open: bool, printer: Printer) -> Outcome {
    let pulls = client.pulls(repository, open).await?.results;
    printer.result(&pulls, || {
        let rows: Vec<[String; 6]> = pulls
            .iter()
            .map(|pull| {
                let checks: Vec<String> =
                    pull.checks.iter().map(|check| format!("{} {}", check.model, check.state)).collect();
                [
                    format!("#{}", pull.number),
                    pull.state.clone(),
                    pull.branch.clone(),
                    pull.author.clone(),
                    checks.join(", "),
                    pull.title.replace('\n', " "),
                ]
            })
            .collect();
        table(["NUMBER", "STATE", "BRANCH", "AUTHOR", "CHECKS", "TITLE"], &rows)
    })
}

fn shown(client: &Client, pull: &Pull, patch: bool) -> String {
    let mut lines = vec![
        format!("#{} {}", pull.number, pull.title),
        format!("{}: {} proposes {} for {}", pull.state, pull.author, pull.branch, pull.into),
        format!("{}{}", client.url(), pull.url),
    ];
    lines.extend(pull.message.clone());
    lines.extend(pull.checks.iter().map(|check| format!("{} {}: {}", check.model, check.state, check.message)));
    if !pull.body.is_empty() {
        lines.push(format!("\n{}", pull.body));
    }
    for commit in pull.commits.iter().flatten() {
        lines.push(format!("{} {}", commit.id.get(..12).unwrap_or(&commit.id), commit.summary));
    }
    for file in pull.files.iter().flatten() {
        lines.push(format!("{} {}", file.change, file.path));
        lines.extend(file.patch.clone().filter(|_| patch));
    }
    lines.join("\n")
}

/// Waits until all checks are over.
async fn finished(client: &Client, repository: &str, mut pull: Pull, printer: Printer) -> Outcome<Pull> {
    let mut silent = 0_u32;
    let mut told = String::new();
    while !pull.checks.iter().all(csw_client::PullCheck::is_over) {
        tokio::time::sleep(PAUSE).await;
        match client.pull(repository, pull.number).await {
            Ok(found) => (pull, silent) = (found, 0),
            // A restart of the server in between is no reason to give up.
            Err(error @ ClientError::Unreachable { .. }) if silent < 60 => {
                silent += 1;
                tracing::debug!(%error, "asked again");
            }
            Err(error) => return Err(error.into()),
        }
        let now: Vec<String> = pull.checks.iter().map(|check| format!("{} {}", check.model, check.state)).collect();
        let now = now.join(", ");
        if now != told {
            printer.note(&now);
            told = now;
        }
    }
    Ok(pull)
}

fn failed(pull: &Pull) -> Failure {
    let check = pull.checks.iter().find(|check| check.state == "failed");
    let sentence = check.map(|check| format!("the check of {} failed: {}", check.model, check.message));
    Failure::failed(sentence.unwrap_or_default(), "mend it, commit, and push the branch again: it is checked again")
}
