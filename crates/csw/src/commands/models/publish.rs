//! `csw models publish`: packs or names the source, and follows the build to its end.

use std::{path::Path, time::Duration};

use csw_client::{Build, BuildChoices, Client, ClientError, ModelDetails, Upload};
use serde_json::json;

use super::source::{self, Packed};
use crate::{
    cli::Publish,
    commands::date,
    failure::{Code, Failure, Outcome},
    output::Printer,
};

pub(crate) async fn run(client: &Client, name: &str, options: &Publish, promote: bool, printer: Printer) -> Outcome {
    let (repo, tag) = (options.repo.as_str(), options.tag.as_deref());
    let as_of = options.as_of.as_deref().map(date).transpose()?.map(|date| date.to_string()).unwrap_or_default();
    let choices = BuildChoices {
        as_of: &as_of,
        example: !options.no_example,
        promote,
        skip_tests: options.skip_test,
        skip_comparison: options.skip_comparison,
    };
    let build = if repo.contains("://") || repo.starts_with("git@") {
        let details = ModelDetails {
            repo_url: Some(repo.to_owned()),
            repo_tag: tag.map(str::to_owned),
            ..ModelDetails::default()
        };
        ensure(client, name, details, printer).await?;
        client.build(name, Upload::Repository { url: repo, reference: tag.unwrap_or_default() }, choices).await?
    } else {
        let folder = Path::new(repo).to_owned();
        let reference = tag.map(str::to_owned);
        let details = source::details(&folder)?;
        let packed: Packed = tokio::task::spawn_blocking(move || source::pack(&folder, reference.as_deref()))
            .await
            .map_err(|error| Failure::local(error.to_string(), "try again"))??;
        ensure(client, name, details, printer).await?;
        printer.note(&packed.summary());
        let Packed { tar, commit, committed_at, origin, .. } = &packed;
        let upload = Upload::Archive { tar: tar.path(), commit, committed_at, origin };
        client.build(name, upload, choices).await?
    };
    let build = follow(client, name, build, printer).await?;
    finish(client, name, &build, printer)
}

/// Makes the model if there is none of this name; says whether it did.
pub(in crate::commands) async fn ensure(
    client: &Client,
    name: &str,
    details: ModelDetails,
    printer: Printer,
) -> Outcome<bool> {
    match client.model(name).await {
        Ok(_) => return Ok(false),
        Err(ClientError::Refused { status: 404, .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let (owner, title) = name.split_once('/').unwrap_or_default();
    // A workflow has no name of its own; whose model it may make the server knows.
    let caller = if client.is_workflow() { Some(owner.to_owned()) } else { client.own_name().await? };
    match caller {
        Some(caller) if caller.eq_ignore_ascii_case(owner) => {}
        Some(caller) => {
            return Err(Failure::new(
                Code::Refused,
                format!("{name} does not exist, and {caller} can't make models of {owner}"),
                format!("publish it as {caller}/{title}, or with a token of {owner}"),
            ));
        }
        None => {
            return Err(Failure::new(
                Code::Refused,
                format!("{name} does not exist, and only {owner} can make it"),
                "give a token with `CS_API_TOKEN` or `--token`",
            ));
        }
    }
    let or = |text: Option<String>, other: &str| Some(text.unwrap_or_else(|| other.to_owned()));
    let oneliner = details.oneliner.clone().unwrap_or_else(|| title.to_owned());
    let details = ModelDetails {
        owner: client.is_workflow().then(|| owner.to_owned()),
        title: Some(title.to_owned()),
        description: or(details.description.clone(), &oneliner),
        oneliner: Some(oneliner),
        repo_url: or(details.repo_url.clone(), ""),
        ..details
    };
    let model = client.create_model(&details).await?;
    printer.note(&format!("made the model {}/{}", model.owner, model.title));
    Ok(true)
}

/// Streams the build's log until it is over.
pub(in crate::commands) async fn follow(client: &Client, name: &str, build: Build, printer: Printer) -> Outcome<Build> {
    let mut offset = 0_u64;
    let mut silent = 0_u32;
    loop {
        // The state comes first, so that the log read after the last state is whole.
        let asked = async {
            let state = client.build_state(name, &build.id).await?;
            let log = client.build_log(name, &build.id, offset).await?;
            Ok::<_, ClientError>((state, log))
        };
        match asked.await {
            Ok((state, log)) => {
                silent = 0;
                offset += log.len() as u64;
                printer.stream(&String::from_utf8_lossy(&log))?;
                if state.is_over() && log.is_empty() {
                    return Ok(state);
                }
                if !log.is_empty() && state.is_over() {
                    continue;
                }
            }
            // A restart of the server in between is no reason to give up.
            Err(error) if error.is_temporary() && silent < 60 => silent += 1,
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Prints how a build ended; one that did not succeed is a failure.
pub(in crate::commands) fn finish(client: &Client, name: &str, build: &Build, printer: Printer) -> Outcome {
    let url = format!("{}/{name}/", client.url());
    let answer = json!({ "model": name, "url": url, "build": build });
    if build.state == "succeeded" {
        return printer.result(&answer, || format!("{} {url}", build.message.clone().unwrap_or_default()));
    }
    printer.result(&answer, String::new)?;
    let message = build.message.clone().unwrap_or_else(|| "no reason is known".to_owned());
    Err(Failure::failed(
        format!("the build {} in stage {}: {message}", build.state, build.stage),
        "the live version is untouched; `csw check PATH` gives the same verdict without a server",
    ))
}
