//! `csw sims create`

use std::path::Path;

use csw_client::{Client, NewSimulation};
use serde_json::{Value, json};

use crate::{
    cli::CreateSim,
    commands::models::choose,
    failure::{Failure, Outcome},
    output::Printer,
};

pub(crate) async fn run(client: &Client, name: &str, options: CreateSim, printer: Printer) -> Outcome {
    let wait = options.wait;
    let version = match &options.version {
        Some(wanted) => Some(choose(&client.versions(name).await?, name, wanted)?.id.clone()),
        None => None,
    };
    let new = NewSimulation { version, ..request(options)? };
    let inputs = client.create(name, &new).await?;
    let number = inputs.sim.model_pk;
    let url = format!("{}{}", client.url(), inputs.sim.gui_url);
    if !wait {
        let answer = json!({ "model": name, "number": number, "url": url, "status": inputs.sim.status });
        return printer.result(&answer, || format!("{name}#{number} {url}"));
    }
    printer.note(&format!("{name}#{number} {url}"));
    let simulation = client.wait(name, number).await?;
    if simulation.status == "STARTED" {
        let inputs = client.inputs(name, number).await?;
        printer.result(&inputs, String::new)?;
        let why = inputs.traceback.unwrap_or_else(|| errors(&inputs.errors_warnings));
        return Err(Failure::failed(
            format!("the inputs are {}: {why}", inputs.status),
            "correct them; the model's page lists parameters and their limits",
        ));
    }
    let state = super::state(&simulation).to_owned();
    printer.result(&simulation, || format!("{state} in {} s", simulation.run_time))?;
    if simulation.status == "SUCCESS" {
        return Ok(());
    }
    Err(Failure::failed(
        format!("{name}#{number} {state}: {}", simulation.traceback.unwrap_or_default().trim_end()),
        format!("`csw sims -n {name} log {number}` shows what it wrote"),
    ))
}

fn request(options: CreateSim) -> Outcome<NewSimulation> {
    let file = match &options.inputs {
        Some(path) => read(path)?,
        None => json!({}),
    };
    // A model's own `simulation.json` has its example inputs under a key.
    let file = file.get("example").unwrap_or(&file);
    let part = |flag: Option<&str>, key: &str| match flag {
        Some(text) => serde_json::from_str(text).map_err(|error| {
            Failure::usage(format!("`--{}` is no JSON: {error}", key.replace('_', "-")), "quote it for the shell")
        }),
        None => Ok(file.get(key).cloned().unwrap_or(Value::Null)),
    };
    Ok(NewSimulation {
        meta_parameters: part(options.meta_parameters.as_deref(), "meta_parameters")?,
        adjustment: part(options.adjustment.as_deref(), "adjustment")?,
        title: options.title,
        is_public: options.public.then_some(true),
        fresh: options.fresh,
        ..NewSimulation::default()
    })
}

fn read(path: &Path) -> Outcome<Value> {
    let text =
        if path == Path::new("-") { std::io::read_to_string(std::io::stdin()) } else { std::fs::read_to_string(path) };
    let text = text.map_err(|error| Failure::file(path, &error))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::local(format!("{}: {error}", path.display()), "it has to be one JSON object"))
}

/// The errors of every section, a line each.
fn errors(errors_warnings: &Value) -> String {
    let mut lines = Vec::new();
    for (section, found) in errors_warnings.as_object().into_iter().flatten() {
        for (parameter, what) in found.get("errors").and_then(Value::as_object).into_iter().flatten() {
            let texts: Vec<String> = match what {
                Value::Array(items) => {
                    items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect()
                }
                other => vec![other.to_string()],
            };
            lines.push(format!("{section}, {parameter}: {}", texts.join("; ")));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_section_and_parameter() {
        let report = json!({
            "Loan": {"errors": {"rate": ["rate -1 < min 0", "again"]}, "warnings": {}},
            "GUI": {"errors": {}, "warnings": {}},
            "Other": {"errors": {"tests": [0, 1]}},
        });
        assert_eq!(errors(&report), "Loan, rate: rate -1 < min 0; again\nOther, tests: 0; 1");
    }
}
