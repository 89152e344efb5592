//! `csw sims download`

use std::path::{Path, PathBuf};

use csw_client::Client;
use serde_json::json;

use crate::{
    failure::{Code, Failure, Outcome},
    output::Printer,
};

pub(crate) async fn run(client: &Client, name: &str, number: u32, to: &Path, printer: Printer) -> Outcome {
    let simulation = client.remote(name, number).await?;
    let Some(outputs) = simulation.outputs else {
        return Err(Failure::new(
            Code::Refused,
            format!("{name}#{number} has no outputs; it is {}", simulation.status),
            format!("`csw sims -n {name} show {number}` says why"),
        ));
    };
    let mut saved = Vec::new();
    for (kind, list) in [("renderable", &outputs.outputs.renderable), ("downloadable", &outputs.outputs.downloadable)] {
        let folder = to.join(kind);
        if !list.outputs.is_empty() {
            std::fs::create_dir_all(&folder).map_err(|error| Failure::file(&folder, &error))?;
        }
        for output in &list.outputs {
            let Some(id) = &output.id else { continue };
            let path = folder.join(safe(&output.filename));
            let bytes = client.save_output(name, number, id, &path).await?;
            printer.note(&format!("{} ({bytes} bytes)", path.display()));
            saved.push(json!({ "file": path, "bytes": bytes, "title": output.title }));
        }
    }
    printer.result(&saved, || format!("{} files in {}", saved.len(), to.display()))
}

/// A server's file name, kept within the folder whatever it says.
fn safe(name: &str) -> PathBuf {
    Path::new(name).file_name().map_or_else(|| PathBuf::from("output"), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_in_their_folder() {
        assert_eq!(safe("../../etc/passwd"), Path::new("passwd"));
        assert_eq!(safe(".."), Path::new("output"));
        assert_eq!(safe("Plot (2).png"), Path::new("Plot (2).png"));
    }
}
