//! The interpreter of an image: the base's own where it has one of that version, and otherwise this machine's, in a
//! layer that all images with it share.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{
    base::Contents,
    failure::ImageError,
    layer::{self, Entries, Entry, inside},
    libraries::{Libraries, is_c_library},
    store::Layout,
};
use crate::{
    interpreter::Interpreter,
    mask::Log,
    process::{Output, run},
};

/// Libraries that every wheel may count on (PEP 600), and those by which the C library looks up names, which nothing
/// is linked against.
const OF_WHEELS: &[&str] = &[
    "libstdc++.so.6",
    "libgcc_s.so.1",
    "libz.so.1",
    "libexpat.so.1",
    "libc.so.6",
    "libm.so.6",
    "libmvec.so.1",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libutil.so.1",
    "libresolv.so.2",
    "libanl.so.1",
    "libnss_files.so.2",
    "libnss_dns.so.2",
];
/// Parts of the standard library that no model imports.
const LEFT_OUT: &[&str] = &[
    "test",
    "tests",
    "idlelib",
    "turtledemo",
    "tkinter",
    "ensurepip",
    "site-packages",
    "dist-packages",
    "sitecustomize.py",
    "EXTERNALLY-MANAGED",
];

const PROBE: &str = "
import json, os, sysconfig
print(json.dumps({
    'stdlib': sysconfig.get_path('stdlib'), 'platstdlib': sysconfig.get_path('platstdlib'),
    'dynload': sysconfig.get_config_var('DESTSHARED') or '',
    'libc': (os.confstr('CS_GNU_LIBC_VERSION') if 'CS_GNU_LIBC_VERSION' in os.confstr_names else '') or '',
}))";

/// Where the parts of an interpreter are.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Parts {
    stdlib: PathBuf,
    platstdlib: PathBuf,
    dynload: PathBuf,
    /// `glibc 2.36`
    libc: String,
}

impl Parts {
    /// Asks an interpreter of this machine.
    pub(crate) async fn of(python: &Interpreter, log: &Log<'_>) -> Result<Self, ImageError> {
        let mut command = std::process::Command::new(&python.executable);
        command.args(["-I", "-S", "-c", PROBE]).current_dir("/");
        let what = "Asking Python for its parts";
        let ended = run(what, command, 20, Output::Quiet, log).await?.success(what)?;
        serde_json::from_slice(&ended.output)
            .map_err(|error| ImageError::Build(format!("{} is no usable Python: {error}", python.executable.display())))
    }

    /// Release of the C library, `(2, 36)`.
    pub(crate) fn glibc(&self) -> Option<(u32, u32)> {
        release(self.libc.strip_prefix("glibc ")?)
    }
}

/// The first two numbers of a release.
pub(crate) fn release(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// The base's own interpreter of the same version, by preference where this machine has it.
pub(crate) fn of_base(python: &Interpreter, base: &Contents) -> Option<PathBuf> {
    let version = python.short_version();
    let usual = ["usr/bin", "usr/local/bin"].map(|folder| Path::new("/").join(folder).join(format!("python{version}")));
    let there = |path: &PathBuf| {
        let library = path.ancestors().nth(2).map(|root| inside(root).join("lib").join(format!("python{version}")));
        base.pythons.contains(&inside(path))
            && library.is_some_and(|library| base.standard_libraries.contains(&library))
    };
    let here = [python.executable.clone()];
    here.iter().chain(&usual).find(|path| there(path)).cloned()
}

/// The layer with this machine's interpreter, what it is linked against, and what wheels and `program` expect.
///
/// On a base, the C library is the base's, and so is every library it has already. Without one, the layer has all of
/// it: an image without a distribution, with a shell for the steps that Python gives to one.
pub(crate) fn layer(
    layout: &Layout,
    python: &Interpreter,
    parts: &Parts,
    program: &Path,
    base: Option<&Contents>,
) -> Result<(super::store::Layer, bool), ImageError> {
    let entries = entries(python, parts, program, base)?;
    layer::remembered(layout, &key(&entries)?, || Ok(entries))
}

/// What else of this machine is needed: by the libraries of an environment, and by `program` on a base with a Python of
/// its own. Nothing where the base, or the layer with the interpreter, has all of it.
pub(crate) fn libraries_layer(
    layout: &Layout,
    environment: Option<&Path>,
    base: Option<&Contents>,
    interpreter: Option<(&Interpreter, &Parts)>,
    program: &Path,
) -> Result<Option<(super::store::Layer, bool)>, ImageError> {
    let machine = Libraries::of_this_machine()?;
    let mut wanted = Entries::new();
    if let Some(environment) = environment {
        add(&mut wanted, machine.of_folder(environment)?, base)?;
    }
    let there = if let Some((python, parts)) = interpreter {
        entries(python, parts, program, base)?
    } else {
        add(&mut wanted, machine.closure(&[program.to_owned()], OF_WHEELS)?, base)?;
        Entries::new()
    };
    wanted.retain(|place, _| !there.contains_key(place));
    if wanted.is_empty() {
        return Ok(None);
    }
    layer::remembered(layout, &key(&wanted)?, || Ok(wanted)).map(Some)
}

fn entries(
    python: &Interpreter,
    parts: &Parts,
    program: &Path,
    base: Option<&Contents>,
) -> Result<Entries, ImageError> {
    let executable = &python.executable;
    if ["/root", "/home"].iter().any(|home| executable.starts_with(home)) {
        return Err(ImageError::Build(format!(
            "{} lies in somebody's home, where no other user of an image may look: install Python {} for the whole machine, or choose a base that has it with `--base`",
            executable.display(),
            python.short_version()
        )));
    }
    let mut entries = Entries::new();
    let mut linked = vec![executable.clone(), program.to_owned()];
    entries.insert(inside(executable), Entry::File { from: executable.clone(), program: true });
    let mut folders = vec![&parts.stdlib];
    for folder in [&parts.platstdlib, &parts.dynload] {
        if folder.is_absolute() && folder.is_dir() && !folder.starts_with(&parts.stdlib) {
            folders.push(folder);
        }
    }
    for folder in folders {
        add_library(&mut entries, folder, &mut linked)?;
    }
    if base.is_none() {
        linked.push("/bin/sh".into());
        add_system(&mut entries)?;
    }
    add_libraries(&mut entries, &linked, base)?;
    Ok(entries)
}

fn add_library(entries: &mut Entries, folder: &Path, linked: &mut Vec<PathBuf>) -> Result<(), ImageError> {
    let is_left_out = |name: &str| LEFT_OUT.contains(&name) || name.starts_with("config-") || name.contains("_tkinter");
    let keep = |path: &Path| !path.file_name().is_some_and(|name| is_left_out(&name.to_string_lossy()));
    layer::add_tree(entries, folder, folder, &keep)?;
    let at = inside(folder);
    for (place, entry) in entries.iter_mut().filter(|(place, _)| place.starts_with(&at)) {
        let Entry::File { from, .. } = entry else { continue };
        match place.extension().and_then(|ending| ending.to_str()) {
            Some("so") => linked.push(from.clone()),
            Some("pyc") => *entry = Entry::ByteCode(from.clone()),
            _ => {}
        }
    }
    Ok(())
}

fn add_libraries(entries: &mut Entries, linked: &[PathBuf], base: Option<&Contents>) -> Result<(), ImageError> {
    add(entries, Libraries::of_this_machine()?.closure(linked, OF_WHEELS)?, base)
}

/// Adds libraries that the base lacks; all parts of the C library are its own.
fn add(
    entries: &mut Entries,
    libraries: BTreeMap<PathBuf, PathBuf>,
    base: Option<&Contents>,
) -> Result<(), ImageError> {
    for (place, from) in libraries {
        let name = place.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if base.is_some_and(|base| is_c_library(&name) || base.libraries.contains(&name)) {
            continue;
        }
        let from = from.canonicalize().map_err(ImageError::at("Reading", &from))?;
        entries.insert(inside(&place), Entry::File { from, program: true });
    }
    Ok(())
}

/// The little that programs expect of any system.
fn add_system(entries: &mut Entries) -> Result<(), ImageError> {
    let shell = Path::new("/bin/sh").canonicalize().map_err(ImageError::at("Reading", Path::new("/bin/sh")))?;
    for name in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
        let path = Path::new("/").join(name);
        if let Ok(target) = fs::read_link(&path) {
            entries.insert(inside(&path), Entry::Link(target));
        }
    }
    let bin = Path::new("/bin").canonicalize().unwrap_or_else(|_| "/bin".into());
    entries.insert(inside(&bin.join("sh")), Entry::File { from: shell, program: true });
    let text = |text: &str| Entry::Text(text.as_bytes().to_vec());
    let user = format!("root:x:0:0::/root:/bin/sh\ncsw:x:{0}:{0}::/tmp:/bin/sh\n", super::USER);
    entries.insert("etc/passwd".into(), text(&user));
    entries.insert("etc/group".into(), text(&format!("root:x:0:\ncsw:x:{}:\n", super::USER)));
    entries.insert("etc/nsswitch.conf".into(), text("hosts: files dns\n"));
    entries.insert("tmp".into(), Entry::Folder { mode: 0o1777 });
    let certificates = Path::new("/etc/ssl/certs/ca-certificates.crt");
    if let Ok(from) = certificates.canonicalize() {
        entries.insert(inside(certificates), Entry::File { from, program: false });
    }
    let zones = Path::new("/usr/share/zoneinfo");
    if zones.is_dir() {
        layer::add_tree(entries, zones, zones, &|path| !(path.starts_with("right") || path.starts_with("posix")))?;
    }
    Ok(())
}

/// What the layer is made of, without reading all of it: places, sizes and times of the files.
fn key(entries: &Entries) -> Result<String, ImageError> {
    let mut all = Sha256::new();
    for (place, entry) in entries {
        all.update(place.as_os_str().as_encoded_bytes());
        match entry {
            Entry::File { from, .. } | Entry::ByteCode(from) => {
                let metadata = fs::metadata(from).map_err(ImageError::at("Reading", from))?;
                let (second, part) = (metadata.mtime(), metadata.mtime_nsec());
                all.update(format!("\0{}\0{}\0{second}.{part}\n", from.display(), metadata.len()));
            }
            other => all.update(format!("\0{other:?}\n")),
        }
    }
    Ok(format!("python {}", hex::encode(all.finalize())))
}
