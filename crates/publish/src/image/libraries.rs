//! Shared libraries that programs of this machine are linked against.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use object::{
    Endianness, ReadCache, ReadRef,
    elf::{DT_NEEDED, FileHeader64, PT_INTERP},
    read::elf::{Dyn, FileHeader, ProgramHeader},
};

use super::failure::ImageError;
use crate::tree;

/// Parts of the C library: they belong together, and to the base where there is one.
const C_LIBRARY: &[&str] = &[
    "libc.so",
    "libm.so",
    "libmvec.so",
    "libpthread.so",
    "libdl.so",
    "librt.so",
    "libutil.so",
    "libresolv.so",
    "libnss_",
    "libanl.so",
    "ld-linux",
    "libBrokenLocale.so",
    "libthread_db.so",
    "libc_malloc_debug.so",
];

/// Whether a library is part of the C library.
pub(crate) fn is_c_library(name: &str) -> bool {
    C_LIBRARY.iter().any(|part| name.starts_with(part))
}

/// What a program or library names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// The program that loads it.
    pub(crate) loader: Option<PathBuf>,
    /// Libraries.
    pub(crate) libraries: Vec<String>,
}

/// Reads what an ELF file needs; of other files, nothing. Little of a large file is read for that.
fn needs(file: &Path) -> Result<Needs, ImageError> {
    let opened = fs::File::open(file).map_err(ImageError::at("Reading", file))?;
    let cache = ReadCache::new(opened);
    Ok(read(&cache).unwrap_or_default())
}

fn read<'data, R: ReadRef<'data>>(bytes: R) -> Option<Needs> {
    let header = FileHeader64::<Endianness>::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    let mut needs = Needs::default();
    for part in header.program_headers(endian, bytes).ok()? {
        if part.p_type(endian) == PT_INTERP {
            let text = part.data(endian, bytes).ok()?;
            let text = std::str::from_utf8(text).ok()?.trim_end_matches('\0');
            needs.loader = Some(PathBuf::from(text));
        }
    }
    let sections = header.sections(endian, bytes).ok()?;
    if let Some((entries, link)) = sections.dynamic(endian, bytes).ok()? {
        let strings = sections.strings(endian, bytes, link).ok()?;
        for entry in entries.iter().filter(|entry| entry.d_tag(endian) == DT_NEEDED) {
            let name = entry.string(endian, strings).ok()?;
            needs.libraries.push(String::from_utf8_lossy(name).into_owned());
        }
    }
    Some(needs)
}

/// Files of this machine by the name that programs know them by.
#[derive(Debug, Default)]
pub(crate) struct Libraries(BTreeMap<String, PathBuf>);

impl Libraries {
    /// What the loader's own list says.
    pub(crate) fn of_this_machine() -> Result<Self, ImageError> {
        let programs = ["/sbin/ldconfig", "/usr/sbin/ldconfig"];
        let program = programs.into_iter().find(|path| Path::new(path).exists()).unwrap_or("ldconfig");
        let listed = Command::new(program)
            .arg("-p")
            .output()
            .map_err(ImageError::at("Asking for the libraries of this machine", Path::new(program)))?;
        Ok(Self(parse(&String::from_utf8_lossy(&listed.stdout))))
    }

    /// What the libraries below a folder need of this machine, beside each other.
    pub(crate) fn of_folder(&self, folder: &Path) -> Result<BTreeMap<PathBuf, PathBuf>, ImageError> {
        let (mut files, mut own) = (vec![], BTreeSet::new());
        tree::walk(folder, &mut |path, metadata| {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let is_library = path.extension().is_some_and(|ending| ending == "so") || name.contains(".so.");
            if metadata.is_file() && is_library {
                files.push(path.to_owned());
                own.insert(name);
            }
            Ok(())
        })
        .map_err(ImageError::at("Looking through", folder))?;
        let mut wanted = BTreeSet::new();
        for file in &files {
            wanted.extend(needs(file)?.libraries);
        }
        let wanted: Vec<&str> = wanted.iter().filter(|name| !own.contains(*name)).map(String::as_str).collect();
        self.closure(&[], &wanted)
    }

    /// Everything these files need, and what that needs, by its place in an image. What is not on this machine is left
    /// out: nothing here can load it either.
    pub(crate) fn closure(&self, files: &[PathBuf], more: &[&str]) -> Result<BTreeMap<PathBuf, PathBuf>, ImageError> {
        let mut found = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut waiting: Vec<PathBuf> = files.to_vec();
        waiting.extend(more.iter().filter_map(|name| self.0.get(*name).cloned()));
        let mut names: BTreeSet<String> = more.iter().map(|name| (*name).to_owned()).collect();
        while let Some(file) = waiting.pop() {
            if !seen.insert(file.clone()) {
                continue;
            }
            let needs = needs(&file)?;
            if let Some(loader) = needs.loader {
                found.insert(place(&loader), loader);
            }
            for name in needs.libraries {
                let Some(path) = self.0.get(&name) else { continue };
                waiting.push(path.clone());
                names.insert(name);
            }
        }
        for path in names.iter().filter_map(|name| self.0.get(name)) {
            found.insert(place(path), path.clone());
        }
        Ok(found)
    }
}

/// `libz.so.1 (libc6,x86-64) => /lib/x86_64-linux-gnu/libz.so.1`, a line each; the first of a name is the one that is
/// loaded.
fn parse(listed: &str) -> BTreeMap<String, PathBuf> {
    let word = match std::env::consts::ARCH {
        "x86_64" => "x86-64",
        "aarch64" => "AArch64",
        other => other,
    };
    let mut libraries = BTreeMap::new();
    for line in listed.lines() {
        let Some((left, path)) = line.trim().split_once(" => ") else { continue };
        let Some((name, kind)) = left.split_once(" (") else { continue };
        if kind.contains(word) && !kind.contains("hwcap") {
            libraries.entry(name.to_owned()).or_insert_with(|| PathBuf::from(path));
        }
    }
    libraries
}

/// The place of a file with the links of its folders resolved, and its own name kept: `/lib` is a link on some systems
/// and a folder on others, and a layer must not put a folder where a base has a link.
fn place(file: &Path) -> PathBuf {
    let parent = file.parent().and_then(|parent| parent.canonicalize().ok());
    match (parent, file.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => file.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_says_what_it_needs() {
        let needs = needs(Path::new("/bin/sh")).unwrap();
        assert!(needs.loader.unwrap().to_string_lossy().contains("ld-"));
        assert!(needs.libraries.iter().any(|name| name.starts_with("libc.so")), "{:?}", needs.libraries);
        assert_eq!(super::needs(Path::new("/etc/passwd")).unwrap(), Needs::default());
    }

    #[test]
    fn what_libraries_need_is_found_too() {
        let machine = Libraries::of_this_machine().unwrap();
        let found = machine.closure(&["/bin/sh".into()], &["libstdc++.so.6"]).unwrap();
        let names: Vec<String> =
            found.keys().filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect();
        for name in ["libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1"] {
            assert!(names.iter().any(|known| known == name), "{name} is not in {names:?}");
        }
        assert!(found.values().all(|path| path.exists()));
    }

    #[test]
    fn the_list_of_the_loader_is_read() {
        let listed = "2 libs found in cache `/etc/ld.so.cache'\n\tlibz.so.1 (libc6,x86-64) => /a/libz.so.1\n\tlibz.so.1 (libc6,AArch64) => /a/libz.so.1\n\tlibz.so.1 (libc6,x86-64) => /b/libz.so.1\n\tlibq.so (libc6) => /b/libq.so\n";
        assert_eq!(parse(listed), BTreeMap::from([("libz.so.1".to_owned(), PathBuf::from("/a/libz.so.1"))]));
    }
}
