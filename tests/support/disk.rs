//! Small file systems that a test fills up. They are mounted in a namespace of the test's own and end with it.

#![allow(dead_code, reason = "each test binary uses what it needs")]

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
};

const NOTHING: Option<&str> = None;

/// A folder that takes the space of a full disk.
const BALLAST: &str = "ballast";

/// Files and folders that a small disk holds; it can be full of them too.
const FILES: u64 = 6_000;

/// A file system of a few megabytes in memory.
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Lets this thread, and the programs that it starts, have mounts of their own; says whether this machine allows it.
    /// It has to be asked first.
    pub fn is_possible() -> bool {
        let apart = unshare(CloneFlags::CLONE_NEWNS)
            .and_then(|()| mount(NOTHING, "/", NOTHING, MsFlags::MS_REC | MsFlags::MS_PRIVATE, NOTHING));
        if let Err(error) = apart {
            eprintln!("skipped: no file system can be mounted here ({error}); run it as root");
            return false;
        }
        true
    }

    /// Mounts one of so many bytes over a folder.
    pub fn over(path: &Path, bytes: u64) -> io::Result<Self> {
        let options = format!("size={bytes},nr_inodes={FILES},mode=711");
        mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))?;
        Ok(Self { path: path.to_owned() })
    }

    /// Shows another folder in this one, under this name. It can't be written to from here, or removed.
    pub fn show(&self, folder: &Path, name: &str) -> io::Result<()> {
        let place = self.path.join(name);
        fs::create_dir(&place)?;
        mount(Some(folder), &place, NOTHING, MsFlags::MS_BIND, NOTHING)?;
        let sealed = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        Ok(mount(NOTHING, &place, NOTHING, sealed, NOTHING)?)
    }

    /// The names at its top.
    pub fn files(&self) -> io::Result<Vec<String>> {
        fs::read_dir(&self.path)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    /// Takes all the space there is: no block is left, and no place for another file. May be called again.
    pub fn fill(&self) -> io::Result<()> {
        let folder = self.path.join(BALLAST);
        fs::create_dir_all(&folder)?;
        let mut file = File::options().create(true).append(true).open(folder.join("bytes"))?;
        until_full(|_| file.write_all(&[0x5a; 4096]))?;
        let names = fs::read_dir(&folder)?.count();
        until_full(|number| File::create_new(folder.join(format!("{}", names + number))).map(drop))
    }

    /// Gives the space back.
    pub fn clear(&self) -> io::Result<()> {
        fs::remove_dir_all(self.path.join(BALLAST))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // It goes with the test at the latest.
        let _ = umount2(&self.path, MntFlags::MNT_DETACH);
    }
}

fn until_full(mut take: impl FnMut(usize) -> io::Result<()>) -> io::Result<()> {
    for number in 0.. {
        match take(number) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
