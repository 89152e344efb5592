//! Scripts that pages need to draw a model's outputs: BokehJS, in the version of the model's own environment.

use std::{fs, path::Path};

use bytes::Bytes;
use csw_core::output::bokeh::{SCRIPTS, script_key};

/// The scripts in this `site-packages` folder, as object keys and bytes; none where bokeh is not installed.
pub(crate) fn bokeh(packages: &Path) -> Vec<(String, Bytes)> {
    let Some(version) = version(packages) else { return Vec::new() };
    let folder = packages.join("bokeh/server/static/js");
    SCRIPTS
        .iter()
        .filter_map(|script| {
            let bytes = fs::read(folder.join(script)).ok()?;
            Some((script_key(&version, script), Bytes::from(bytes)))
        })
        .collect()
}

fn version(packages: &Path) -> Option<String> {
    fs::read_dir(packages).ok()?.flatten().find_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        Some(name.strip_prefix("bokeh-")?.strip_suffix(".dist-info")?.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scripts_of_the_installed_version_are_found() {
        let folder = tempfile::tempdir().unwrap();
        assert!(bokeh(folder.path()).is_empty());
        fs::create_dir_all(folder.path().join("bokeh-3.3.4.dist-info")).unwrap();
        fs::create_dir_all(folder.path().join("bokeh/server/static/js")).unwrap();
        fs::write(folder.path().join("bokeh/server/static/js/bokeh.min.js"), "x").unwrap();
        let found = bokeh(folder.path());
        assert_eq!(found, [("bokeh/3.3.4/bokeh.min.js".to_owned(), Bytes::from_static(b"x"))]);
    }
}
