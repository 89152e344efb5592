//! The Python side as it lies on disk.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

const FILES: [(&str, &str); 4] = [
    ("__init__.py", ""),
    ("harness.py", include_str!("../python/harness.py")),
    ("contract.py", include_str!("../python/contract.py")),
    ("confine_child.py", csw_sandbox::CONFINE_CHILD),
];

const PACKAGE: &str = "csw_harness";

/// Imports the harness without leaving its folder, or the current one, on the path of imports.
const BOOT: &str = "import sys
sys.path[:] = [sys.argv[1]] + [path for path in sys.path if path]
from csw_harness import harness
del sys.path[0]
mode = sys.argv[2]
sys.argv[:] = ['']
harness.main(mode)
";

/// The installed harness.
#[derive(Debug, Clone)]
pub(crate) struct Harness {
    folder: PathBuf,
}

/// What an interpreter is started for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mode {
    Fresh,
    Zygote,
}

impl Harness {
    /// Writes the files below `root`, in a folder named by their content.
    pub(crate) fn install(root: &Path) -> io::Result<Self> {
        let mut hash = Sha256::new();
        for (name, text) in FILES {
            hash.update(name);
            hash.update(text);
        }
        let folder = root.join(format!("harness-{}", &hex::encode(hash.finalize())[..16]));
        let package = folder.join(PACKAGE);
        fs::create_dir_all(&package)?;
        for (name, text) in FILES {
            fs::write(package.join(name), text)?;
        }
        Ok(Self { folder })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The interpreter's arguments.
    pub(crate) fn arguments(&self, mode: Mode) -> Vec<OsString> {
        let mode = match mode {
            Mode::Fresh => "fresh",
            Mode::Zygote => "zygote",
        };
        // -s: no packages of a user; -B: byte code was compiled with the environment and is never written.
        ["-s", "-B", "-c", BOOT]
            .map(OsString::from)
            .into_iter()
            .chain([self.folder.clone().into(), mode.into()])
            .collect()
    }
}
