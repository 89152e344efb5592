//! The Python side as it lies on disk.

use std::{
    collections::HashSet,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use tokio::{process::Command, sync::Mutex};

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

/// Moves the socket from standard input to where the harness looks for it.
const MOVE: &str = "import os
os.dup2(0, 3, inheritable=False)
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
";

/// Writes byte code of a folder, which is never compared with its source again.
const COMPILE: &str = "import compileall, py_compile, sys
mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
sys.exit(not compileall.compile_dir(sys.argv[1], quiet=2, invalidation_mode=mode))
";

/// The installed harness.
#[derive(Debug)]
pub(crate) struct Harness {
    folder: PathBuf,
    /// Interpreters that have byte code of it.
    compiled: Mutex<HashSet<PathBuf>>,
}

/// What an interpreter is started for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Mode {
    Fresh,
    Zygote,
    /// One run without a helper around it: the socket comes as standard input.
    Direct,
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
        Ok(Self { folder, compiled: Mutex::default() })
    }

    /// Compiles the harness for an interpreter that was not used before: sandboxes can't, and each start would again.
    pub(crate) async fn compile_for(&self, python: &Path) {
        // The interpreter itself and nothing of an environment: this is not in a sandbox.
        let Ok(python) = fs::canonicalize(python) else { return };
        let mut compiled = self.compiled.lock().await;
        if compiled.contains(&python) {
            return;
        }
        let done = Command::new(&python).args(["-I", "-S", "-c", COMPILE]).arg(&self.folder).output().await;
        if !done.is_ok_and(|done| done.status.success()) {
            tracing::warn!(python = %python.display(), "the harness has no byte code: every start compiles it again");
        }
        compiled.insert(python);
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The interpreter's arguments.
    pub(crate) fn arguments(&self, mode: Mode) -> Vec<OsString> {
        let (mode, boot) = match mode {
            Mode::Fresh => ("fresh", BOOT.to_owned()),
            Mode::Zygote => ("zygote", BOOT.to_owned()),
            Mode::Direct => ("fresh", format!("{MOVE}{BOOT}")),
        };
        // -s: no packages of a user; -B: byte code was compiled with the environment and is never written.
        ["-s", "-B", "-c", &boot]
            .map(OsString::from)
            .into_iter()
            .chain([self.folder.clone().into(), mode.into()])
            .collect()
    }
}
