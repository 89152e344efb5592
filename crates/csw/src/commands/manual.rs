//! `csw completion` and `csw man`: what shells and readers of manuals need, made from the command line itself.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use serde_json::json;

use crate::{
    cli::Cli,
    failure::{Failure, Outcome},
    output::Printer,
};

/// Prints the completions of a shell.
pub(super) fn completion(shell: Shell, printer: Printer) -> Outcome {
    let mut script = vec![];
    clap_complete::generate(shell, &mut Cli::command(), "csw", &mut script);
    let script = String::from_utf8_lossy(&script);
    printer.result(&json!({ "shell": shell.to_string(), "script": script }), || script.trim_end().to_owned())
}

/// Prints the page of `csw`, or writes the pages of all commands.
pub(super) fn pages(out: Option<&Path>, printer: Printer) -> Outcome {
    let Some(folder) = out else {
        let mut page = vec![];
        let written = clap_mangen::Man::new(Cli::command()).render(&mut page);
        written.map_err(|error| Failure::local(error.to_string(), "is there memory left?"))?;
        let page = String::from_utf8_lossy(&page);
        return printer.result(&json!({ "page": page }), || page.trim_end().to_owned());
    };
    std::fs::create_dir_all(folder).map_err(|error| Failure::file(folder, &error))?;
    clap_mangen::generate_to(Cli::command(), folder).map_err(|error| Failure::file(folder, &error))?;
    let entries = std::fs::read_dir(folder).map_err(|error| Failure::file(folder, &error))?;
    let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut pages: Vec<String> = names.filter(|name| name.starts_with("csw") && name.ends_with(".1")).collect();
    pages.sort();
    printer.result(&json!({ "folder": folder, "pages": pages }), || {
        format!("{} pages in {}; `man -l {}/csw.1` shows the first", pages.len(), folder.display(), folder.display())
    })
}
