//! What all tests of building share: the repository, uv, a log that is kept, and tools that are installed once.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

use csw_core::ports::BuildLog;

/// Keeps a log.
#[derive(Default)]
pub struct Kept(pub Mutex<String>);

impl BuildLog for Kept {
    fn write(&self, text: &str) {
        self.0.lock().unwrap().push_str(text);
    }
}

/// The folder of the project.
pub fn repository_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_path_buf()
}

/// uv: `CSW_UV`, `.tools/bin/uv` of the repository, or that of `PATH`.
pub fn uv() -> PathBuf {
    let tools = repository_root().join(".tools/bin/uv");
    let given = env::var_os("CSW_UV").map(PathBuf::from);
    given.or_else(|| tools.exists().then_some(tools)).unwrap_or_else(|| "uv".into())
}

/// A file of the build folder, two folders above this program.
pub fn built(name: &str) -> PathBuf {
    env::current_exe().unwrap().ancestors().nth(2).unwrap().join(name)
}

/// A cache that lives as long as the build folder: the tests are about us, not about the index.
pub fn cache() -> PathBuf {
    built("publish-test-cache")
}

/// The program with `exec-sandbox`; it stands for `csw`: a program with libraries of its own.
pub fn helper() -> PathBuf {
    let helper = built("examples/exec_sandbox");
    assert!(helper.exists(), "`cargo test` builds {}", helper.display());
    helper
}

/// Lends environments, which never change, to a data folder. The first test that asks for those of this name makes them:
/// `make` moves them there. Answers the folder that they are in with whatever else it has put there.
pub async fn lend(name: &str, data: &Path, make: impl AsyncFnOnce(&Path)) -> PathBuf {
    let shared = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&shared).unwrap();
    let lock = fs::File::create(shared.join("lock")).unwrap();
    lock.lock().unwrap();
    let made = shared.join("envs");
    if !made.exists() {
        make(&made).await;
    }
    let to = data.join("envs");
    fs::create_dir_all(&to).unwrap();
    for entry in fs::read_dir(made).unwrap() {
        let entry = entry.unwrap();
        std::os::unix::fs::symlink(entry.path(), to.join(entry.file_name())).unwrap();
    }
    shared
}
