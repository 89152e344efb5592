//! Layers: tars that are equal whenever their files are. Names are sorted, times are zero, everything is root's, and
//! the compression has no clock either.

use std::{
    collections::BTreeMap,
    fs, io,
    io::{Read, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};

use super::{
    failure::ImageError,
    oci::{self, Descriptor},
    store::{BlobWriter, Layer, Layout},
};
use crate::tree;

/// What is at a place in a layer.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    /// A folder that has to be there.
    Folder {
        /// Its mode.
        mode: u32,
    },
    /// A file of this machine.
    File {
        /// Where it is.
        from: PathBuf,
        /// Whether it can be run.
        program: bool,
    },
    /// Byte code of this machine, which must not be compared with its source: the layer has no times.
    ByteCode(PathBuf),
    /// A file that is made here.
    Text(Vec<u8>),
    /// A link, with what it says.
    Link(PathBuf),
}

/// The entries of a layer by their place, relative to the root.
pub(crate) type Entries = BTreeMap<PathBuf, Entry>;

/// Adds everything below a folder of this machine, at a place in the image; what `keep` refuses is left out.
pub(crate) fn add_tree(
    entries: &mut Entries,
    from: &Path,
    at: &Path,
    keep: &dyn Fn(&Path) -> bool,
) -> Result<(), ImageError> {
    let failed = ImageError::at("Reading", from);
    let at = inside(at);
    entries.entry(at.clone()).or_insert(Entry::Folder { mode: 0o755 });
    let mut found = vec![];
    tree::walk(from, &mut |path, metadata| {
        let relative = path.strip_prefix(from).map_err(io::Error::other)?;
        if !relative.ancestors().all(|part| part.as_os_str().is_empty() || keep(part)) {
            return Ok(());
        }
        let entry = if metadata.is_symlink() {
            Entry::Link(fs::read_link(path)?)
        } else if metadata.is_dir() {
            Entry::Folder { mode: 0o755 }
        } else if metadata.is_file() {
            Entry::File { from: path.to_owned(), program: metadata.mode() & 0o111 != 0 }
        } else {
            return Ok(());
        };
        found.push((at.join(relative), entry));
        Ok(())
    })
    .map_err(failed)?;
    entries.extend(found);
    Ok(())
}

/// A path of an image as a tar names it.
pub(crate) fn inside(path: &Path) -> PathBuf {
    path.strip_prefix("/").unwrap_or(path).to_owned()
}

/// Writes the layer into the folder of images.
pub(crate) fn write(layout: &Layout, entries: &Entries) -> Result<Layer, ImageError> {
    let packed = Packed::new(layout.writer()?);
    let failed = ImageError::at("Writing a layer into", layout.folder());
    let (blob, diff_id) = pack(packed, entries).map_err(failed)?;
    let (digest, size) = blob.finish(None)?;
    let descriptor =
        Descriptor { media_type: oci::LAYER.to_owned(), digest, size, annotations: BTreeMap::new(), platform: None };
    Ok(Layer { descriptor, diff_id })
}

/// The layer of a key, made only if it is not there.
pub(crate) fn remembered(
    layout: &Layout,
    key: &str,
    entries: impl FnOnce() -> Result<Entries, ImageError>,
) -> Result<(Layer, bool), ImageError> {
    if let Some(layer) = layout.remembered(key)? {
        return Ok((layer, true));
    }
    let layer = write(layout, &entries()?)?;
    layout.remember(key, &layer)?;
    Ok((layer, false))
}

/// Compresses what passes, and keeps the digest of what went in.
struct Packed {
    out: GzEncoder<BlobWriter>,
    hash: Sha256,
}

impl Packed {
    fn new(blob: BlobWriter) -> Self {
        Self { out: GzEncoder::new(blob, Compression::default()), hash: Sha256::new() }
    }
}

impl Write for Packed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.hash.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn pack(packed: Packed, entries: &Entries) -> io::Result<(BlobWriter, String)> {
    let mut tar = tar::Builder::new(io::BufWriter::with_capacity(1 << 20, packed));
    for (path, entry) in entries {
        append(&mut tar, path, entry)?;
    }
    let packed = tar.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    let diff_id = format!("sha256:{}", hex::encode(packed.hash.finalize()));
    Ok((packed.out.finish()?, diff_id))
}

fn append(tar: &mut tar::Builder<impl Write>, path: &Path, entry: &Entry) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    match entry {
        Entry::Folder { mode } => {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_mode(*mode);
            let mut name = path.as_os_str().to_owned();
            name.push("/");
            tar.append_data(&mut header, Path::new(&name), io::empty())
        }
        Entry::Link(target) => {
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_mode(0o777);
            tar.append_link(&mut header, path, target)
        }
        Entry::File { from, program } => {
            let file = fs::File::open(from)?;
            let size = file.metadata()?.len();
            header.set_mode(if *program { 0o755 } else { 0o644 });
            header.set_size(size);
            tar.append_data(&mut header, path, file.take(size))
        }
        Entry::ByteCode(from) => {
            let bytes = unchecked(fs::read(from)?);
            header.set_mode(0o644);
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, path, bytes.as_slice())
        }
        Entry::Text(bytes) => {
            header.set_mode(0o644);
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, path, bytes.as_slice())
        }
    }
}

/// Byte code that is compared with the time of its source becomes byte code that is compared with nothing (PEP 552): in
/// a layer all times are zero, so that Python would compile it anew at each start.
fn unchecked(mut bytes: Vec<u8>) -> Vec<u8> {
    if let Some(head) = bytes.get_mut(4..16)
        && head[..4] == [0; 4]
    {
        head.copy_from_slice(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn layer_of(folder: &Path) -> Layer {
        let place = tempfile::tempdir().unwrap();
        let layout = Layout::open(place.path()).unwrap();
        let mut entries = Entries::new();
        add_tree(&mut entries, folder, Path::new("/opt/x"), &|path| !path.ends_with("left")).unwrap();
        entries.insert("opt/x/made".into(), Entry::Text(b"here".to_vec()));
        write(&layout, &entries).unwrap()
    }

    #[test]
    fn equal_files_make_equal_layers_whoever_owns_them_and_whenever_they_were_made() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let long = "n".repeat(180);
        for folder in [one.path(), two.path()] {
            for name in ["b/x.py", "a", "left/y", long.as_str()] {
                let path = folder.join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, name).unwrap();
            }
            symlink("a", folder.join("link")).unwrap();
        }
        fs::set_permissions(two.path().join("a"), fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(two.path().join("left/z"), "more").unwrap();
        let first = layer_of(one.path());
        assert_eq!(first, layer_of(two.path()));
        fs::set_permissions(two.path().join("a"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_ne!(first, layer_of(two.path()));
    }

    #[test]
    fn a_layer_is_made_once() {
        let place = tempfile::tempdir().unwrap();
        let layout = Layout::open(place.path()).unwrap();
        let entries = || Ok(Entries::from([("a".into(), Entry::Text(b"x".to_vec()))]));
        let (first, found) = remembered(&layout, "key", entries).unwrap();
        assert!(!found);
        assert_eq!(remembered(&layout, "key", || panic!("made twice")).unwrap(), (first.clone(), true));
        fs::remove_file(layout.blob(&first.descriptor.digest).unwrap()).unwrap();
        assert_eq!(remembered(&layout, "key", entries).unwrap(), (first, false));
    }

    #[test]
    fn byte_code_is_never_compared_with_its_source() {
        let by_time = [b"\xa7\r\r\n".as_slice(), &[0; 4], &[9; 8], b"code"].concat();
        let by_hash = [b"\xa7\r\r\n".as_slice(), &[3, 0, 0, 0], &[9; 8], b"code"].concat();
        assert_eq!(unchecked(by_time), [b"\xa7\r\r\n".as_slice(), &[1, 0, 0, 0], &[0; 8], b"code"].concat());
        assert_eq!(unchecked(by_hash.clone()), by_hash);
        assert_eq!(unchecked(vec![1]), [1]);
    }
}
