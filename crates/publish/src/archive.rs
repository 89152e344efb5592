//! A tar from a client, unpacked without trusting a byte of it.

use std::{
    fs, io,
    os::unix::fs::{OpenOptionsExt, symlink},
    path::{Component, Path, PathBuf},
};

use tar::{Archive, Entry, EntryType};

use crate::{failure::Failure, tree};

/// Unpacks into a new folder. Links are made last, so that no file is written through one.
pub(crate) fn unpack(file: &Path, folder: &Path, mut room: tree::Room) -> Result<(), Failure> {
    let opened = fs::File::open(file).map_err(Failure::at("Reading the archive", file))?;
    fs::create_dir_all(folder).map_err(Failure::at("Making the folder", folder))?;
    let broken = |error: io::Error| {
        Failure::Unusable(format!(
            "The archive cannot be unpacked: {error}. Send an uncompressed tar of the repository"
        ))
    };
    let mut archive = Archive::new(io::BufReader::new(opened));
    let mut links = vec![];
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        if matches!(entry.header().entry_type(), EntryType::XGlobalHeader) {
            continue;
        }
        let name = entry.path().map_err(broken)?.into_owned();
        let Some(inside) = plain(&name) else {
            return Err(refused(&name, "its name leads out of the archive"));
        };
        if inside.as_os_str().is_empty() {
            continue;
        }
        room.take(entry.size()).map_err(broken)?;
        let target = folder.join(&inside);
        match entry.header().entry_type() {
            EntryType::Directory => fs::create_dir_all(&target).map_err(broken)?,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                write(&mut entry, &target).map_err(broken)?;
            }
            kind @ (EntryType::Symlink | EntryType::Link) => {
                let leads = entry.link_name().map_err(broken)?.unwrap_or_default().into_owned();
                links.push((inside, leads, kind == EntryType::Link));
            }
            _ => return Err(refused(&name, "it is no file, folder or link")),
        }
    }
    for (inside, leads, hard) in links {
        make_link(folder, &inside, &leads, hard)?;
    }
    // Chains of links can leave where each of them alone seems to stay.
    tree::purge(folder).map_err(broken)?;
    Ok(())
}

fn refused(name: &Path, why: &str) -> Failure {
    Failure::Unusable(format!("The archive is refused: `{}`: {why}", name.display()))
}

/// The name without `./`, unless it is absolute or climbs.
fn plain(name: &Path) -> Option<PathBuf> {
    let mut inside = PathBuf::new();
    for part in name.components() {
        match part {
            Component::Normal(part) => inside.push(part),
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(inside)
}

fn write(entry: &mut Entry<'_, impl io::Read>, target: &Path) -> io::Result<()> {
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent)?;
    }
    let mode = if entry.header().mode()? & 0o111 == 0 { 0o644 } else { 0o755 };
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(target)?;
    io::copy(entry, &mut file)?;
    Ok(())
}

fn make_link(folder: &Path, inside: &Path, leads: &Path, hard: bool) -> Result<(), Failure> {
    let target = folder.join(inside);
    let failed = |error: io::Error| refused(inside, &error.to_string());
    // A link is no folder: nothing may be made below one, which an earlier one of these could be.
    let parent = target.parent().unwrap_or(folder);
    fs::create_dir_all(parent).map_err(failed)?;
    let (real, root) = (parent.canonicalize().map_err(failed)?, folder.canonicalize().map_err(failed)?);
    if !real.starts_with(&root) {
        return Err(refused(inside, "it lies behind a link that leads out of the archive"));
    }
    if !hard {
        if !tree::stays_inside(inside, leads) {
            return Err(refused(inside, "it is a link that leads out of the archive"));
        }
        return symlink(leads, target).map_err(failed);
    }
    let source = plain(leads).map(|leads| folder.join(leads));
    let Some(source) = source.filter(|path| fs::symlink_metadata(path).is_ok_and(|found| found.is_file())) else {
        return Err(refused(inside, "it is a hard link to nothing in the archive"));
    };
    if !source.canonicalize().map_err(failed)?.starts_with(&root) {
        return Err(refused(inside, "it is a hard link that leads out of the archive"));
    }
    fs::copy(source, target).map(|_| ()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: tree::Room = tree::Room { bytes: 1 << 20, entries: 50 };

    enum Given<'a> {
        File(&'a str, &'a [u8]),
        Link(&'a str, &'a str, EntryType),
        Other(&'a str, EntryType),
    }

    fn unpacked(entries: &[Given<'_>]) -> Result<tempfile::TempDir, String> {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("x.tar");
        let mut builder = tar::Builder::new(fs::File::create(&file).unwrap());
        for entry in entries {
            let (name, kind, data, link) = match entry {
                Given::File(name, data) => (name, EntryType::Regular, *data, None),
                Given::Link(name, to, kind) => (name, *kind, &b""[..], Some(to)),
                Given::Other(name, kind) => (name, *kind, &b""[..], None),
            };
            let mut header = tar::Header::new_gnu();
            // Written by hand: the builder itself refuses such names.
            header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(kind);
            header.set_mode(0o644);
            header.set_size(data.len() as u64);
            if let Some(to) = link {
                header.as_gnu_mut().unwrap().linkname[..to.len()].copy_from_slice(to.as_bytes());
            }
            header.set_cksum();
            builder.append(&header, data).unwrap();
        }
        builder.finish().unwrap();
        drop(builder);
        unpack(&file, &place.path().join("out/in"), ROOM).map_err(|error| error.to_string())?;
        Ok(place)
    }

    #[test]
    fn an_honest_archive_is_unpacked() {
        let place = unpacked(&[
            Given::File("./a/b.py", b"1"),
            Given::Link("c", "a/b.py", EntryType::Symlink),
            Given::Link("d", "a/b.py", EntryType::Link),
        ])
        .unwrap();
        for name in ["a/b.py", "c", "d"] {
            assert_eq!(fs::read(place.path().join("out/in").join(name)).unwrap(), b"1");
        }
    }

    #[test]
    fn every_way_out_is_refused() {
        for (entries, why) in [
            (vec![Given::File("../evil", b"x")], "leads out"),
            (vec![Given::File("/tmp/evil", b"x")], "leads out"),
            (vec![Given::File("a/../../evil", b"x")], "leads out"),
            (vec![Given::Link("a", "/etc", EntryType::Symlink)], "leads out"),
            (vec![Given::Link("a", "../..", EntryType::Symlink)], "leads out"),
            (vec![Given::Link("a", "../evil", EntryType::Link)], "hard link"),
            (vec![Given::Link("a", "/etc/passwd", EntryType::Link)], "hard link"),
            (vec![Given::Other("dev", EntryType::Char)], "no file"),
            (vec![Given::Other("fifo", EntryType::Fifo)], "no file"),
            (vec![Given::File("big", &vec![0; (1 << 20) + 1])], "more bytes"),
        ] {
            let sentence = unpacked(&entries).unwrap_err();
            assert!(sentence.contains(why), "{sentence}");
        }
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let place = unpacked(&[Given::Link("up", "sub", EntryType::Symlink), Given::File("up/evil", b"x")]);
        // The folder `up` came first: the link over it fails, and nothing escapes.
        assert!(place.unwrap_err().contains("up"));
        let chain = unpacked(&[
            Given::Link("a", "b/c", EntryType::Symlink),
            Given::Link("b/c", "..", EntryType::Symlink),
            Given::Link("a/../../x", "y", EntryType::Symlink),
        ]);
        assert!(chain.unwrap_err().contains("leads out"));
    }

    #[test]
    fn something_else_is_no_archive() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("x");
        fs::write(&file, [0x1f, 0x8b, 8, 0].repeat(200)).unwrap();
        let sentence = unpack(&file, &place.path().join("y"), ROOM).unwrap_err().to_string();
        assert!(sentence.contains("uncompressed tar"), "{sentence}");
    }
}
