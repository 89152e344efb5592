//! A folder of images as the OCI image layout has it: `oci-layout`, `index.json`, and blobs by digest.
//!
//! Any tool that reads such layouts reads this one. Beside them, `csw-images.json` remembers which layer was made of
//! what, so that it is not made again, and what was sent where, so that it can be mounted there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::{
    failure::ImageError,
    oci::{self, Descriptor, Index, Manifest},
};

const MARK: &str = "oci-layout";
const INDEX: &str = "index.json";
const MEMORY: &str = "csw-images.json";

/// A layer: its bytes, and their digest before compression.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layer {
    pub(crate) descriptor: Descriptor,
    pub(crate) diff_id: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Memory {
    /// Layers by what they were made of.
    layers: BTreeMap<String, Layer>,
    /// `HOST/REPOSITORY` by digest of a blob that was sent there.
    sent: BTreeMap<String, BTreeSet<String>>,
}

/// The folder.
#[derive(Debug, Clone)]
pub struct Layout {
    folder: PathBuf,
}

impl Layout {
    /// Opens the folder, made where it is missing. A folder of something else is refused.
    pub fn open(folder: &Path) -> Result<Self, ImageError> {
        let mark = folder.join(MARK);
        if !mark.exists() {
            let taken = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
            if taken {
                return Err(ImageError::Build(format!(
                    "`{}` is no folder of images, and not empty: choose another with `--out`",
                    folder.display()
                )));
            }
            let blobs = folder.join("blobs").join("sha256");
            fs::create_dir_all(&blobs).map_err(ImageError::at("Making the folder", &blobs))?;
            fs::write(&mark, r#"{"imageLayoutVersion":"1.0.0"}"#).map_err(ImageError::at("Writing", &mark))?;
        }
        Ok(Self { folder: folder.to_owned() })
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the bytes with this digest are, or would be.
    pub(crate) fn blob(&self, digest: &str) -> Result<PathBuf, ImageError> {
        let hex = oci::hexadecimal(digest).ok_or_else(|| ImageError::Damaged {
            path: self.folder.display().to_string(),
            why: format!("`{digest}` is no digest"),
        })?;
        Ok(self.folder.join("blobs").join("sha256").join(hex))
    }

    /// Whether these bytes are here.
    pub(crate) fn has(&self, descriptor: &Descriptor) -> bool {
        self.blob(&descriptor.digest)
            .and_then(|path| fs::metadata(&path).map_err(ImageError::at("Reading", &path)))
            .is_ok_and(|metadata| metadata.len() == descriptor.size)
    }

    /// Whether a blob that is here is what its name says. One that is not is removed.
    pub(crate) fn check(&self, descriptor: &Descriptor) -> Result<(), ImageError> {
        let path = self.blob(&descriptor.digest)?;
        let digest = file_digest(&path).map_err(ImageError::at("Reading", &path))?;
        if descriptor.digest.trim_start_matches("sha256:") == digest {
            return Ok(());
        }
        fs::remove_file(&path).map_err(ImageError::at("Removing", &path))?;
        let why = "its contents do not have the digest that is its name".to_owned();
        Err(ImageError::Damaged { path: path.display().to_string(), why })
    }

    /// Bytes of a small blob, checked.
    pub(crate) fn read(&self, digest: &str) -> Result<Vec<u8>, ImageError> {
        let path = self.blob(digest)?;
        let bytes = fs::read(&path).map_err(ImageError::at("Reading", &path))?;
        if oci::digest(&bytes) != digest {
            let why = "its contents do not have the digest that is its name".to_owned();
            return Err(ImageError::Damaged { path: path.display().to_string(), why });
        }
        Ok(bytes)
    }

    /// A document among the blobs.
    pub(crate) fn document<T: DeserializeOwned>(&self, digest: &str) -> Result<T, ImageError> {
        let bytes = self.read(digest)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| ImageError::Damaged { path: digest.to_owned(), why: error.to_string() })
    }

    /// Stores a small blob.
    pub(crate) fn put(&self, media_type: &str, bytes: &[u8]) -> Result<Descriptor, ImageError> {
        let descriptor = Descriptor::of(media_type, bytes);
        let mut blob = self.writer()?;
        blob.write_all(bytes).map_err(ImageError::at("Writing into", &self.folder))?;
        blob.finish(None)?;
        Ok(descriptor)
    }

    /// Begins a blob whose digest is known at its end.
    pub(crate) fn writer(&self) -> Result<BlobWriter, ImageError> {
        let path = self.folder.join("blobs").join(format!(".{}", uuid::Uuid::now_v7()));
        let file = fs::File::create(&path).map_err(ImageError::at("Making", &path))?;
        Ok(BlobWriter { layout: self.clone(), path, file, hash: Sha256::new(), size: 0 })
    }

    /// The images by name.
    pub(crate) fn index(&self) -> Result<Index, ImageError> {
        let path = self.folder.join(INDEX);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| ImageError::Damaged { path: path.display().to_string(), why: error.to_string() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Index::default()),
            Err(error) => Err(ImageError::at("Reading", &path)(error)),
        }
    }

    /// Gives an image a name; another one that had it loses it.
    pub(crate) fn name(&self, name: &str, manifest: &Descriptor) -> Result<(), ImageError> {
        let _alone = self.alone()?;
        let mut index = self.index()?;
        index.manifests.retain(|known| known.annotations.get(oci::REF_NAME).map(String::as_str) != Some(name));
        let mut named = manifest.clone();
        named.annotations.insert(oci::REF_NAME.to_owned(), name.to_owned());
        named.platform = Some(oci::platform());
        index.manifests.push(named);
        self.replace(INDEX, &serde_json::to_vec_pretty(&index).unwrap_or_default())
    }

    /// The image with this name.
    pub(crate) fn find(&self, name: &str) -> Result<Option<(Descriptor, Manifest)>, ImageError> {
        let index = self.index()?;
        let named = |known: &&Descriptor| known.annotations.get(oci::REF_NAME).map(String::as_str) == Some(name);
        match index.manifests.iter().find(named) {
            Some(descriptor) => Ok(Some((descriptor.clone(), self.document(&descriptor.digest)?))),
            None => Ok(None),
        }
    }

    /// Names of all images.
    pub(crate) fn names(&self) -> Result<Vec<String>, ImageError> {
        let index = self.index()?;
        Ok(index.manifests.iter().filter_map(|known| known.annotations.get(oci::REF_NAME).cloned()).collect())
    }

    /// The layer that was made of this before, if it is still whole.
    pub(crate) fn remembered(&self, key: &str) -> Result<Option<Layer>, ImageError> {
        Ok(self.memory()?.layers.remove(key).filter(|layer| self.has(&layer.descriptor)))
    }

    /// Remembers what a layer was made of.
    pub(crate) fn remember(&self, key: &str, layer: &Layer) -> Result<(), ImageError> {
        self.change(|memory| {
            memory.layers.insert(key.to_owned(), layer.clone());
        })
    }

    /// Where on this host a blob was sent to before.
    pub(crate) fn sent_to(&self, digest: &str, host: &str) -> Result<Vec<String>, ImageError> {
        let places = self.memory()?.sent.remove(digest).unwrap_or_default();
        let here = places.iter().filter_map(|place| place.strip_prefix(host)?.strip_prefix('/'));
        Ok(here.map(str::to_owned).collect())
    }

    /// Remembers where blobs were sent.
    pub(crate) fn remember_sent(&self, digests: &[String], place: &str) -> Result<(), ImageError> {
        self.change(|memory| {
            for digest in digests {
                memory.sent.entry(digest.clone()).or_default().insert(place.to_owned());
            }
        })
    }

    fn memory(&self) -> Result<Memory, ImageError> {
        let path = self.folder.join(MEMORY);
        match fs::read(&path) {
            // It only saves work: what can't be read is forgotten.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Memory::default()),
            Err(error) => Err(ImageError::at("Reading", &path)(error)),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Memory)) -> Result<(), ImageError> {
        let _alone = self.alone()?;
        let mut memory = self.memory()?;
        change(&mut memory);
        self.replace(MEMORY, &serde_json::to_vec_pretty(&memory).unwrap_or_default())
    }

    /// Two builds into one folder take turns at its lists.
    fn alone(&self) -> Result<fs::File, ImageError> {
        let path = self.folder.join(".lock");
        let file = fs::File::create(&path).map_err(ImageError::at("Making", &path))?;
        file.lock().map_err(ImageError::at("Locking", &path))?;
        Ok(file)
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), ImageError> {
        let (path, new) = (self.folder.join(name), self.folder.join(format!(".{name}.new")));
        fs::write(&new, bytes).map_err(ImageError::at("Writing", &new))?;
        fs::rename(&new, &path).map_err(ImageError::at("Writing", &path))
    }
}

/// A blob on its way into the folder; dropped unfinished, it leaves nothing.
pub(crate) struct BlobWriter {
    layout: Layout,
    path: PathBuf,
    file: fs::File,
    hash: Sha256,
    size: u64,
}

impl BlobWriter {
    /// Bytes so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Puts it in its place; returns digest and size. With `expected`, other bytes are refused.
    pub(crate) fn finish(mut self, expected: Option<&str>) -> Result<(String, u64), ImageError> {
        let digest = format!("sha256:{}", hex::encode(std::mem::take(&mut self.hash).finalize()));
        if let Some(expected) = expected
            && expected != digest
        {
            let why = format!("what came has the digest {digest}");
            return Err(ImageError::Damaged { path: expected.to_owned(), why });
        }
        let place = self.layout.blob(&digest)?;
        self.file.sync_all().map_err(ImageError::at("Writing", &self.path))?;
        fs::rename(&self.path, &place).map_err(ImageError::at("Writing", &place))?;
        Ok((digest, self.size))
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for BlobWriter {
    fn drop(&mut self) {
        // It has moved where it was finished.
        let _ = fs::remove_file(&self.path);
    }
}

/// SHA-256 of a file, as a key.
pub(crate) fn file_digest(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hex::encode(hash.finalize())),
            count => hash.update(&chunk[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_something_else_is_refused() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("thesis.txt"), "x").unwrap();
        assert!(Layout::open(place.path()).unwrap_err().to_string().contains("--out"));
        let inside = place.path().join("images");
        Layout::open(&inside).unwrap();
        Layout::open(&inside).unwrap();
    }

    #[test]
    fn names_point_at_one_image_and_damage_is_noticed() {
        let place = tempfile::tempdir().unwrap();
        let layout = Layout::open(place.path()).unwrap();
        let config = layout.put(oci::CONFIG, b"{}").unwrap();
        let manifest = Manifest {
            schema_version: 2,
            media_type: oci::MANIFEST.to_owned(),
            config,
            layers: vec![],
            annotations: BTreeMap::new(),
        };
        let bytes = serde_json::to_vec(&manifest).unwrap();
        let first = layout.put(oci::MANIFEST, &bytes).unwrap();
        for name in ["a/b:1", "a/b:2", "a/b:1"] {
            layout.name(name, &first).unwrap();
        }
        assert_eq!(layout.names().unwrap(), ["a/b:2", "a/b:1"]);
        assert_eq!(layout.find("a/b:1").unwrap().unwrap().1, manifest);
        assert!(layout.find("a/b:3").unwrap().is_none());
        fs::write(layout.blob(&first.digest).unwrap(), "x").unwrap();
        assert!(layout.find("a/b:1").unwrap_err().to_string().contains("damaged"));
    }

    #[test]
    fn an_unfinished_blob_leaves_nothing() {
        let place = tempfile::tempdir().unwrap();
        let layout = Layout::open(place.path()).unwrap();
        let mut blob = layout.writer().unwrap();
        blob.write_all(b"half").unwrap();
        assert_eq!(blob.size(), 4);
        drop(blob);
        let mut wrong = layout.writer().unwrap();
        wrong.write_all(b"x").unwrap();
        assert!(wrong.finish(Some(&oci::digest(b"y"))).is_err());
        assert_eq!(fs::read_dir(place.path().join("blobs")).unwrap().count(), 1);
    }
}
