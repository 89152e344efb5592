//! `csw models look`: what a repository turns out to be, before anything of it is run.

use std::path::Path;

use csw_core::{build::Source, look::Found};
use serde_json::{Value, json};

use crate::{
    cli::{Look, Server},
    commands::check::Shown,
    failure::{Failure, Outcome},
    folder::Folder,
    output::{Printer, table},
    settings::Settings,
    tools, wiring,
};

pub(crate) async fn run(settings: &Settings, server: &Server, options: &Look, printer: Printer) -> Outcome {
    let (repo, tag) = (options.repo.as_str(), options.tag.as_deref().unwrap_or_default());
    let found = if repo.contains("://") || repo.starts_with("git@") {
        settings.client(server)?.look(repo, tag).await?
    } else {
        here(settings, Path::new(repo), tag, printer).await?
    };
    printer.result(&found, || told(&found))?;
    if found["publishable"] == json!(true) {
        return Ok(());
    }
    let first = found["problems"][0]["sentence"].as_str().unwrap_or_default();
    Err(Failure::failed(
        format!("a build would fail: {first}"),
        found["problems"][0]["way_out"].as_str().unwrap_or_default(),
    ))
}

/// A look at a folder of this machine, without a server.
async fn here(settings: &Settings, path: &Path, tag: &str, printer: Printer) -> Outcome<Value> {
    let path = path.canonicalize().map_err(|error| Failure::file(path, &error))?;
    let source = if tag.is_empty() {
        Source::Folder(path)
    } else {
        Source::Git { url: path.display().to_string(), reference: tag.to_owned() }
    };
    let folder = Folder::take(&tools::cache_folder().join("csw-check"), "wait for the check that is at work")?;
    let bench = wiring::workbench(settings, &folder, true)?;
    let found = bench.publisher.look(&source, &Shown(printer)).await;
    bench.executor.shut_down(0).await;
    bench.cgroups.close();
    let found = found.map_err(|error| Failure::failed(error.sentence, "give the root of a model's repository"))?;
    Ok(as_the_server_says(&found))
}

fn as_the_server_says(found: &Found) -> Value {
    json!({
        "publishable": found.is_publishable(),
        "commit": found.commit,
        "committed_at": found.committed_at,
        "readme_title": found.readme_title,
        "oneliner": found.described.oneliner,
        "bytes": found.bytes,
        "files": found.files,
        "cs_config": found.has_config,
        "functions": found.functions,
        "lists": found.lists,
        "system_packages": found.system_packages,
        "python": found.python,
        "tests": found.tests,
        "problems": found.problems,
    })
}

fn told(found: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value, none: &str| {
        let words: Vec<String> = value.as_array().into_iter().flatten().map(text).collect();
        if words.is_empty() { none.to_owned() } else { words.join(", ") }
    };
    let row = |name: &str, value: String| [name.to_owned(), value];
    let mut rows = vec![
        row("title", text(&found["readme_title"])),
        row("commit", text(&found["commit"])),
        row("committed at", text(&found["committed_at"])),
        row("size", format!("{} bytes in {} files", found["bytes"], found["files"])),
    ];
    for function in found["functions"].as_array().into_iter().flatten() {
        let line = function["line"].as_u64().map_or_else(|| "not found".to_owned(), |line| format!("line {line}"));
        rows.push(row(function["name"].as_str().unwrap_or_default(), line));
    }
    rows.push(row("packages by", list(&found["lists"], "none")));
    rows.push(row("Python", list(&found["python"], "any")));
    rows.push(row("packages of the system", list(&found["system_packages"], "none")));
    rows.push(row("own tests", found["tests"].to_string()));
    let mut lines = vec![table(["FOUND", ""], &rows)];
    for problem in found["problems"].as_array().into_iter().flatten() {
        let (weight, sentence) = (text(&problem["weight"]), text(&problem["sentence"]));
        lines.push(format!("{weight}: {sentence}. {}", text(&problem["way_out"])));
    }
    lines.join("\n")
}
