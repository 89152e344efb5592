//! The folder of one picture: our page goes in, a picture comes out. Whoever draws may have made anything else of it.

use std::{
    fs, io,
    io::Read,
    os::unix::fs::{OpenOptionsExt, chown},
    path::{Path, PathBuf},
};

use nix::libc;

/// A picture of our size has less.
const LARGEST: u64 = 2 << 20;

/// A folder that goes with its value.
pub(crate) struct Room {
    base: PathBuf,
    /// What the browser may write.
    pub(crate) path: PathBuf,
}

impl Room {
    /// A room below a folder of which only we can look at the names, given to `user` where we are root.
    pub(crate) fn new(work: &Path, page: &str, user: Option<u32>) -> io::Result<Self> {
        let base = work.join(format!("thumbnail-{}", uuid::Uuid::now_v7()));
        let path = base.join("room");
        fs::create_dir_all(&path)?;
        let room = Self { base, path };
        fs::create_dir(room.home())?;
        fs::write(room.page(), page)?;
        if let Some(user) = user {
            for path in [room.path.clone(), room.home(), room.page()] {
                chown(path, Some(user), Some(user))?;
            }
        }
        Ok(room)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path.join("home")
    }

    pub(crate) fn page(&self) -> PathBuf {
        self.path.join("page.html")
    }

    /// Where the browser leaves the picture.
    pub(crate) fn picture(&self) -> PathBuf {
        self.path.join("picture.png")
    }

    /// The bytes that were left; nothing where there are none. A link leads nowhere: it is a stranger's.
    pub(crate) fn left(&self) -> io::Result<Option<Vec<u8>>> {
        let opened =
            fs::OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(self.picture());
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ELOOP) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if !file.metadata()?.is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut bytes)?;
        Ok((bytes.len() as u64 <= LARGEST).then_some(bytes))
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // Processes that were just killed may still leave a file; a second look finds it.
        if fs::remove_dir_all(&self.base).is_err()
            && let Err(error) = fs::remove_dir_all(&self.base)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(folder = %self.base.display(), %error, "the folder of a thumbnail could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_left_is_read_from_the_room_alone() {
        let work = tempfile::tempdir().unwrap();
        let secret = work.path().join("secret");
        fs::write(&secret, "ours").unwrap();
        let room = Room::new(work.path(), "<p>", None).unwrap();
        assert_eq!(room.left().unwrap(), None);
        symlink(&secret, room.picture()).unwrap();
        assert_eq!(room.left().unwrap(), None, "a link is not followed");
        fs::remove_file(room.picture()).unwrap();
        fs::create_dir(room.picture()).unwrap();
        assert_eq!(room.left().unwrap(), None);
        fs::remove_dir(room.picture()).unwrap();
        fs::write(room.picture(), vec![0; 3 << 20]).unwrap();
        assert_eq!(room.left().unwrap(), None, "too large");
        fs::write(room.picture(), "x").unwrap();
        assert_eq!(room.left().unwrap().as_deref(), Some(&b"x"[..]));
        drop(room);
        assert_eq!(fs::read_dir(work.path()).unwrap().count(), 1, "only the secret is left");
    }
}
