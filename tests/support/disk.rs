//! Small file systems that a test fills up. They are mounted in a namespace of the test's own and end with it.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::statvfs::statvfs,
};

use crate::Result;

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
    pub fn over(path: &Path, bytes: u64) -> Result<Self> {
        let options = format!("size={bytes},nr_inodes={FILES},mode=711");
        mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))
            .with_context(|| format!("mounting over {}", path.display()))?;
        Ok(Self { path: path.to_owned() })
    }

    /// Shows another folder below this path.
    pub(crate) fn show(&self, folder: &Path, name: &str) -> Result {
        let place = self.path.join(name);
        fs::create_dir(&place)?;
        mount(Some(folder), &place, NOTHING, MsFlags::MS_BIND, NOTHING)
            .with_context(|| format!("showing {} at {}", folder.display(), place.display()))
    }

    /// Bytes that are free.
    pub fn free(&self) -> Result<u64> {
        let found = statvfs(&self.path)?;
        Ok(found.blocks_available() * found.fragment_size())
    }

    /// Takes all the space there is: no block is left, and no place for another file. May be called again.
    pub fn fill(&self) -> Result {
        let folder = self.path.join(BALLAST);
        fs::create_dir_all(&folder)?;
        let mut file = File::options().create(true).append(true).open(folder.join("bytes"))?;
        until_full(|_| file.write_all(&[0x5a; 4096]))?;
        let names = fs::read_dir(&folder)?.count();
        until_full(|number| File::create_new(folder.join(format!("{}", names + number))).map(drop))
    }

    /// Gives the space back.
    pub fn clear(&self) -> Result {
        Ok(fs::remove_dir_all(self.path.join(BALLAST))?)
    }
}

fn until_full(mut take: impl FnMut(usize) -> io::Result<()>) -> Result {
    for number in 0.. {
        match take(number) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
