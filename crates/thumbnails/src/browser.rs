//! Where the browser is.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What browsers that can draw are called, the smallest first.
pub const NAMES: [&str; 5] =
    ["chrome-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// What the starting scripts of distributions read before they start the browser.
const CONFIGURATION: [&str; 2] = ["/etc/chromium.d", "/etc/chromium"];

/// Fonts that were looked at before, which otherwise every start looks at again.
const FONTS: &str = "/var/cache/fontconfig";

/// A browser, and what it has to see of this machine.
#[derive(Debug, Clone)]
pub(crate) struct Browser {
    pub(crate) program: PathBuf,
    pub(crate) reads: Vec<PathBuf>,
}

impl Browser {
    /// The browser behind a path. Where it is no part of the system, the folder it is in is shown to it.
    pub(crate) fn at(path: &Path) -> std::io::Result<Self> {
        let program = fs::canonicalize(path)?;
        let known = CONFIGURATION.into_iter().chain([FONTS]).map(PathBuf::from);
        let mut reads: Vec<PathBuf> = known.filter(|path| path.exists()).collect();
        let own = program.parent().unwrap_or(Path::new("/usr"));
        if !own.starts_with("/usr") {
            reads.push(own.to_owned());
        }
        Ok(Self { program, reads })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_beside_the_system_sees_its_own_folder() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().canonicalize().unwrap();
        fs::write(place.join("chromium"), "").unwrap();
        let browser = Browser::at(&place.join("chromium")).unwrap();
        assert!(browser.reads.contains(&place));
        assert!(!Browser::at(Path::new("/usr/bin/env")).unwrap().reads.iter().any(|path| path.starts_with("/usr")));
    }
}
