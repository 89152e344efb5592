//! `csw doctor`: what this machine has of what runs and builds need, each thing tried, and what each absence costs.

mod bucket;
mod images;
mod thumbnails;

use std::path::Path;

use csw_sandbox::{
    cgroup::{Manager, Mode},
    doctor::State,
};
use serde::Serialize;

use crate::{
    cli::Place,
    failure::{Failure, Outcome},
    output::{Printer, table},
    settings::Settings,
    tools,
};

/// A program that is called by name.
struct Tool {
    names: &'static [&'static str],
    needed: bool,
    cost: &'static str,
}

const TOOLS: [Tool; 7] = [
    Tool { names: &["uv"], needed: true, cost: "no version can be built" },
    Tool { names: &["git"], needed: true, cost: "no model can be published from a URL" },
    Tool { names: &["python3"], needed: false, cost: "uv downloads the Python that models ask for" },
    Tool {
        names: &["buildah", "podman", "docker"],
        needed: false,
        cost: "no image can be made of a Containerfile, nor with packages of the system; other images need none of them",
    },
    Tool { names: &["pg_dump"], needed: false, cost: "a site on PostgreSQL can't be backed up by `csw backup`" },
    Tool { names: &["psql"], needed: false, cost: "the tests can't start a PostgreSQL of their own" },
    Tool {
        names: &["chromium", "chromium-browser", "google-chrome"],
        needed: false,
        cost: "the tests of the pages are skipped",
    },
];

/// A thing that was tried.
#[derive(Debug, Serialize)]
struct Finding {
    kind: &'static str,
    name: String,
    state: State,
    needed: bool,
    detail: String,
    cost_of_absence: String,
}

#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    user: &'static str,
    cgroup_mode: Mode,
    findings: Vec<Finding>,
}

pub(crate) async fn run(settings: &Settings, place: &Place, printer: Printer) -> Outcome {
    let helper = tools::own_program()?;
    let mut report = tokio::task::spawn_blocking(move || examine(&helper))
        .await
        .map_err(|error| Failure::local(error.to_string(), "try again"))??;
    report.findings.push(thumbnails::examine(settings).await?);
    report.findings.extend(bucket::examine(settings, place).await);
    report.findings.extend(images::examine(settings).await);
    report.ok = !report.findings.iter().any(is_lacking);
    printer.result(&report, || text(&report))?;
    if report.ok {
        return Ok(());
    }
    let missing: Vec<&str> =
        report.findings.iter().filter(|found| is_lacking(found)).map(|found| &*found.name).collect();
    Err(Failure::failed(
        format!("missing: {}", missing.join(", ")),
        "`scripts/setup` installs what packages have; [objects] of the configuration file says which bucket, [images] which \
         registry",
    ))
}

fn is_lacking(finding: &Finding) -> bool {
    finding.needed && finding.state == State::Missing
}

fn examine(helper: &Path) -> Outcome<Report> {
    let cgroups = Manager::detect(&format!("doctor-{}", std::process::id()));
    let tried = csw_sandbox::doctor::layers(helper, &cgroups);
    cgroups.close();
    let layers =
        tried.map_err(|error| Failure::local(error.to_string(), "is this program complete? install it again"))?;
    let mut findings: Vec<Finding> = layers
        .into_iter()
        .map(|layer| Finding {
            kind: "sandbox",
            needed: layer.name == "sandbox",
            name: layer.name,
            state: layer.state,
            detail: layer.detail,
            cost_of_absence: layer.cost_of_absence,
        })
        .collect();
    findings.extend(TOOLS.iter().map(try_tool));
    Ok(Report {
        ok: true,
        user: if is_root() { "root" } else { "unprivileged" },
        cgroup_mode: cgroups.mode(),
        findings,
    })
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn try_tool(tool: &Tool) -> Finding {
    let found = tool.names.iter().find_map(|name| tools::find(name));
    let (state, detail) = match &found {
        None => (State::Missing, "not in PATH".to_owned()),
        Some(path) => match tools::version(path) {
            Some(version) => (State::Present, format!("{version} ({})", path.display())),
            None => (State::Degraded, format!("{} does not tell its version", path.display())),
        },
    };
    Finding {
        kind: "tool",
        name: tool.names.first().copied().unwrap_or_default().to_owned(),
        state,
        needed: tool.needed,
        detail,
        cost_of_absence: tool.cost.to_owned(),
    }
}

fn text(report: &Report) -> String {
    let rows: Vec<[String; 4]> = report
        .findings
        .iter()
        .map(|found| {
            let (state, cost) = match found.state {
                State::Present => ("present", String::new()),
                State::Degraded => ("degraded", found.cost_of_absence.clone()),
                State::Missing => ("missing", found.cost_of_absence.clone()),
            };
            [found.name.clone(), state.to_owned(), found.detail.replace('\n', " "), cost]
        })
        .collect();
    let verdict = if report.ok { "This machine can build and run models." } else { "This machine can't serve models." };
    format!(
        "{}\n\nRunning as {}. {verdict}",
        table(["WHAT", "STATE", "FOUND", "WITHOUT IT"], &rows),
        match report.user {
            "root" => "root: every run gets a user of its own",
            _ => "an unprivileged user: runs share its user, in namespaces where the kernel allows them",
        }
    )
}
