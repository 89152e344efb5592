//! The code layer: the repository's files, its own packages installed beside them, and the search path.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    asked::{Own, Plan, plan::canonical_name, standard},
    background, bytecode,
    environment::{self, Environment},
    failure::Failure,
    process::Output,
    tree,
    uv::{TOOLS, Uv, Wanted},
};

/// Entries of `sys.path` relative to the folder, one a line.
pub const PATH_FILE: &str = "csw-path.txt";
/// What is known about the packages of the repository.
const OWN_FILE: &str = "csw-own.json";
/// Where they are installed.
const SITE: &str = "csw-site";
const CONFIG: &str = "cs-config";

/// What the packages of the repository are, and what they need.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct OwnPackages {
    /// Canonical names.
    pub(crate) names: BTreeSet<String>,
    /// Requirements they declare.
    pub(crate) requires: Vec<String>,
    /// What a reader of the log should know.
    pub(crate) warnings: Vec<String>,
}

/// A code folder, finished or about to be.
#[derive(Debug)]
pub(crate) struct Code {
    /// Name of the folder.
    pub(crate) digest: String,
    /// Where it is going to be, or is.
    pub(crate) place: PathBuf,
    /// Where it is made; nothing where it was there already.
    pub(crate) staging: Option<PathBuf>,
    /// The packages in it.
    pub(crate) own: OwnPackages,
}

impl Code {
    /// Where its files are now.
    pub(crate) fn folder(&self) -> &Path {
        self.staging.as_deref().unwrap_or(&self.place)
    }

    /// Makes it final.
    pub(crate) async fn finish(self, uv: &Uv<'_>) -> Result<(), Failure> {
        let Some(staging) = self.staging.clone() else { return Ok(()) };
        let place = uv.config.used_at(&self.place);
        bytecode::compile(uv.jail, uv.interpreter, &staging, &place, None, uv.config).await?;
        let place = self.place.clone();
        background(move || tree::settle(&staging, &place)).await.map_err(Failure::at("Finishing", &self.place))
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        if let Some(staging) = &self.staging {
            // Gone already where it was finished; leftovers are swept later.
            let _ = tree::remove(staging);
        }
    }
}

/// The digest of a model's code.
pub(crate) async fn digest(uv: &Uv<'_>, checkout: &Path, plan: &Plan) -> Result<String, Failure> {
    let folder = checkout.to_path_buf();
    let files =
        background(move || tree::digest(&folder)).await.map_err(Failure::io("Reading the files of the model"))?;
    let head = format!("code 1\n{} {}\n{:?}\n{files}\n", uv.interpreter.version(), uv.interpreter.soabi, plan.own);
    Ok(hex::encode(Sha256::digest(head)))
}

/// Finds the folder with this digest.
pub(crate) fn find(data: &Path, digest: &str) -> Option<Code> {
    let place = data.join("code").join(digest);
    let own = fs::read_to_string(place.join(OWN_FILE)).ok()?;
    let own = serde_json::from_str(&own).ok()?;
    Some(Code { digest: digest.to_owned(), place, staging: None, own })
}

/// Absolute entries of `sys.path` of a code folder.
pub(crate) fn search_path(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let file = folder.join(PATH_FILE);
    let text = fs::read_to_string(&file).map_err(Failure::at("Reading", &file))?;
    Ok(text.lines().filter(|line| !line.is_empty()).map(|line| folder.join(line)).collect())
}

/// Makes the folder from what is in `source` of the room.
pub(crate) async fn stage(uv: &Uv<'_>, digest: &str, plan: &Plan) -> Result<Code, Failure> {
    let all = uv.config.data.join("code");
    fs::create_dir_all(&all).map_err(Failure::at("Making the folder", &all))?;
    let staging = all.join(format!(".staging-{}", uuid::Uuid::now_v7()));
    let own = OwnPackages::default();
    let mut code = Code { digest: digest.to_owned(), place: all.join(digest), staging: Some(staging.clone()), own };
    let (source, to, links) = (uv.jail.room.join("source"), staging.clone(), plan.links.clone());
    let room = tree::Room { bytes: uv.config.source_bytes, entries: uv.config.source_entries };
    // Before anything is built, for builds leave their own files behind.
    let copied = background(move || {
        remove_links(&source, &links);
        tree::copy(&source, &to, None, room)?;
        for name in [PATH_FILE, OWN_FILE, SITE] {
            let _ = fs::remove_file(to.join(name)).or_else(|_| tree::remove(&to.join(name)));
        }
        Ok(())
    });
    copied.await.map_err(Failure::io("Copying the files of the model"))?;
    let failed = install(uv, plan, &staging, &mut code.own).await?;
    let path = path_lines(&staging, plan, &failed);
    let own = serde_json::to_string_pretty(&code.own).unwrap_or_default();
    let write = || {
        fs::write(staging.join(PATH_FILE), path.join("\n") + "\n")?;
        fs::write(staging.join(OWN_FILE), own)
    };
    write().map_err(Failure::at("Writing the search path into", &staging))?;
    Ok(code)
}

/// The links of mapped clones lead to the repository itself, and would confuse its build.
fn remove_links(source: &Path, links: &[PathBuf]) {
    for link in links {
        let parent = link.parent().and_then(|parent| parent.canonicalize().ok());
        let (Some(parent), Some(name)) = (parent, link.file_name()) else { continue };
        if parent.starts_with(source) && parent.join(name).is_symlink() {
            // What is still there is copied as a link.
            let _ = fs::remove_file(parent.join(name));
        }
    }
}

/// Installs the packages of the repository; those that failed are used where they are.
async fn install(uv: &Uv<'_>, plan: &Plan, staging: &Path, own: &mut OwnPackages) -> Result<Vec<PathBuf>, Failure> {
    let (packages, mut failed): (Vec<&Own>, Vec<&Own>) = plan.own.iter().partition(|own| {
        let path = staging.join(&own.path);
        path.is_file() || standard::project_file(&path).is_some()
    });
    for own_package in &failed {
        own.warnings.push(format!(
            "`{}` has neither pyproject.toml nor setup.py; its folder is on the path instead",
            shown(own_package)
        ));
    }
    let site = uv.jail.room.join(format!("site-{}", uuid::Uuid::new_v4()));
    if !packages.is_empty() {
        uv.log.line(&format!(
            "Installing the model's own packages: {}",
            packages.iter().map(|own| shown(own)).collect::<Vec<_>>().join(", ")
        ));
        let tools = tools(uv, &packages, staging).await;
        let together = install_some(uv, &packages, &site, tools.as_ref()).await?;
        for package in if together.is_ok() { vec![] } else { packages.clone() } {
            if let Err(reason) = install_some(uv, &[package], &site, None).await? {
                own.warnings.push(format!(
                    "`{}` could not be built ({reason}); its folder is on the path instead",
                    shown(package)
                ));
                failed.push(package);
            }
        }
        let to = staging.join(SITE);
        let found = site.clone();
        let taken = background(move || {
            if !fs::symlink_metadata(&found).is_ok_and(|metadata| metadata.is_dir()) {
                return Ok(());
            }
            fs::create_dir_all(&to)?;
            environment::take(&found, &to)
        });
        taken.await.map_err(Failure::io("Moving the model's own packages"))?;
    }
    read_metadata(&staging.join(SITE), uv, plan, own);
    for package in &failed {
        if package.with_dependencies {
            own.requires.extend(standard::declared(&staging.join(&package.path)));
        }
    }
    for warning in &own.warnings {
        uv.log.line(warning);
    }
    Ok(failed.into_iter().map(|own| own.path.clone()).collect())
}

fn shown(own: &Own) -> String {
    if own.path.as_os_str().is_empty() { ".".to_owned() } else { own.path.display().to_string() }
}

async fn install_some(
    uv: &Uv<'_>,
    packages: &[&Own],
    site: &Path,
    tools: Option<&Environment>,
) -> Result<Result<(), String>, Failure> {
    let source = uv.jail.room.join("source");
    let python = tools.map_or_else(|| uv.interpreter.executable.clone(), Environment::python);
    let mut args: Vec<String> = ["pip", "install", "--no-deps", "--no-progress", "--target"].map(str::to_owned).into();
    args.extend([site.display().to_string(), "--python".to_owned(), python.display().to_string()]);
    args.extend(tools.map(|_| "--no-build-isolation".to_owned()));
    args.extend(packages.iter().map(|own| source.join(&own.path).display().to_string()));
    let shown = tools.map(|tools| tools.folder.as_path());
    let ended = uv.confined("Installing the model's own packages", args, shown, Output::Logged).await?;
    Ok(if ended.status.success() { Ok(()) } else { Err(ended.last_line()) })
}

/// An environment with setuptools, where that is all the packages are built with: nothing is then downloaded again for
/// each change of code.
async fn tools(uv: &Uv<'_>, packages: &[&Own], staging: &Path) -> Option<Environment> {
    if !packages.iter().all(|own| standard::is_built_by_any_setuptools(&staging.join(&own.path))) {
        return None;
    }
    let requirements = ["setuptools", "wheel"].map(str::to_owned).into();
    let lock = uv.resolve_within(TOOLS, &Wanted { requirements, ..Wanted::default() }).await.ok()?;
    environment::build(uv, &lock, None).await.ok()
}

/// Names and requirements from the metadata of what was installed.
fn read_metadata(site: &Path, uv: &Uv<'_>, plan: &Plan, own: &mut OwnPackages) {
    let source = format!("file://{}", uv.jail.room.join("source").display());
    for entry in fs::read_dir(site).into_iter().flatten().flatten() {
        let folder = entry.path();
        let Ok(metadata) = fs::read_to_string(folder.join("METADATA")) else { continue };
        let direct = fs::read_to_string(folder.join("direct_url.json")).unwrap_or_default();
        let direct: serde_json::Value = serde_json::from_str(&direct).unwrap_or_default();
        let url = direct.get("url").and_then(serde_json::Value::as_str).unwrap_or_default();
        let path = url.strip_prefix(&source).map(|path| Path::new(path.trim_matches('/')));
        let package = plan.own.iter().find(|own| Some(own.path.as_path()) == path);
        let (name, requires) = requirements_of(&metadata, package.map_or(&[], |own| &own.extras));
        own.names.extend(name.map(|name| canonical_name(&name)));
        if package.is_none_or(|own| own.with_dependencies) {
            own.requires.extend(requires);
        }
    }
    own.requires.sort();
    own.requires.dedup();
}

/// `Name` and `Requires-Dist`, with the extras that were asked for.
fn requirements_of(metadata: &str, extras: &[String]) -> (Option<String>, Vec<String>) {
    let head = metadata.lines().take_while(|line| !line.is_empty());
    let (mut name, mut requires) = (None, vec![]);
    for line in head {
        if let Some(value) = line.strip_prefix("Name: ") {
            name = Some(value.trim().to_owned());
        }
        let Some(value) = line.strip_prefix("Requires-Dist: ") else { continue };
        let Some((requirement, marker)) = value.split_once(';').filter(|(_, marker)| marker.contains("extra")) else {
            requires.push(value.trim().to_owned());
            continue;
        };
        let plain = marker.replace('\'', "\"").replace("extra==", "extra ==").replace("==\"", "== \"");
        let wanted = extras.iter().find(|extra| {
            plain.contains(&format!("extra == \"{}\"", canonical_name(extra)))
                || plain.contains(&format!("extra == \"{extra}\""))
        });
        if let Some(extra) = wanted {
            // Always true: the extra was asked for, and the rest of the marker still decides.
            let marker = plain
                .replace(&format!("extra == \"{extra}\""), "python_version >= \"3\"")
                .replace(&format!("extra == \"{}\"", canonical_name(extra)), "python_version >= \"3\"");
            requires.push(format!("{} ; {}", requirement.trim(), marker.trim()));
        }
    }
    (name, requires)
}

/// The search path: editable packages where they are, what was installed, and what could not be.
fn path_lines(folder: &Path, plan: &Plan, failed: &[PathBuf]) -> Vec<String> {
    let site = folder.join(SITE);
    let mut lines = vec![];
    // An extension module exists only where it was installed.
    if !has_extension(&site) {
        lines.extend(
            plan.own
                .iter()
                .filter(|own| own.editable && !failed.contains(&own.path))
                .map(|own| import_folder(folder, &own.path)),
        );
    }
    if site.is_dir() {
        lines.push(PathBuf::from(SITE));
    }
    lines.extend(failed.iter().map(|path| import_folder(folder, path)));
    let has_functions = |line: &PathBuf| folder.join(line).join("cs_config/functions.py").is_file();
    if !lines.iter().any(has_functions) {
        lines.push(PathBuf::from(CONFIG));
    }
    let mut seen = BTreeSet::new();
    lines.retain(|line| seen.insert(line.clone()));
    lines
        .iter()
        .map(|line| if line.as_os_str().is_empty() { ".".to_owned() } else { line.display().to_string() })
        .collect()
}

fn has_extension(site: &Path) -> bool {
    let mut found = false;
    let walked = tree::walk(site, &mut |path, _| {
        found |= path.extension().is_some_and(|ending| ending == "so");
        Ok(())
    });
    walked.is_ok() && found
}

/// Where the modules of a package are: in `src` where it has that layout.
fn import_folder(folder: &Path, package: &Path) -> PathBuf {
    let source = folder.join(package).join("src");
    let is_module =
        |path: PathBuf| path.join("__init__.py").is_file() || path.extension().is_some_and(|ending| ending == "py");
    let has_modules = fs::read_dir(&source)
        .is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(|entry| is_module(entry.path()))));
    if has_modules && !source.join("__init__.py").is_file() { package.join("src") } else { package.to_path_buf() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_tells_what_is_needed() {
        let metadata = "Metadata-Version: 2.1\nName: My_Model\nRequires-Dist: numpy>=1\nRequires-Dist: plot ; extra == 'viz'\nRequires-Dist: old; python_version < \"3.8\"\nRequires-Dist: dev ; extra == \"dev\"\n\nRequires-Dist: text\n";
        let (name, requires) = requirements_of(metadata, &["viz".to_owned()]);
        assert_eq!(name.as_deref(), Some("My_Model"));
        assert_eq!(requires, ["numpy>=1", "plot ; python_version >= \"3\"", "old; python_version < \"3.8\""]);
    }

    #[test]
    fn the_path_follows_the_layout() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        };
        write("src/model/__init__.py");
        write("cs-config/cs_config/functions.py");
        let own = |path: &str, editable| Own { path: path.into(), extras: vec![], editable, with_dependencies: true };
        let plan = Plan { own: vec![own("", true), own("cs-config", false)], ..Plan::default() };
        assert_eq!(path_lines(folder.path(), &plan, &["cs-config".into()]), ["src", "cs-config"]);
        write("csw-site/cs_config/functions.py");
        assert_eq!(path_lines(folder.path(), &plan, &[]), ["src", "csw-site"]);
        write("csw-site/ext.so");
        assert_eq!(path_lines(folder.path(), &plan, &["".into()]), ["csw-site", "src"]);
    }
}
