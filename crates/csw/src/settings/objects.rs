//! `[objects]`: where outputs are kept.

use std::path::PathBuf;

use serde::Deserialize;

use super::variable;

/// `[objects]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ObjectSettings {
    store: Option<ObjectBackend>,
    bucket: Option<String>,
    prefix: Option<String>,
    endpoint: Option<String>,
    region: Option<String>,
    /// Account, for Azure.
    pub(crate) account: Option<String>,
    /// Whether the bucket's name is part of the endpoint's host.
    pub(crate) virtual_host: bool,
    /// Whether S3 is asked to put only where nothing is; yes by default.
    pub(crate) conditional_puts: Option<bool>,
    /// File with credentials.
    pub(crate) credentials_file: Option<PathBuf>,
    /// Secret of the site with the text of such a file.
    pub(crate) credentials_secret: Option<String>,
    /// Section of such a file.
    pub(crate) credentials_profile: Option<String>,
    /// Whether large downloads are sent on to the bucket.
    pub(crate) signed_downloads: bool,
    /// Bytes from which a download is large.
    pub(crate) signed_above_bytes: Option<u64>,
    /// How long such an address is good.
    pub(crate) signed_seconds: Option<u64>,
}

/// The kinds of object storage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ObjectBackend {
    /// A folder in the data folder.
    #[default]
    Folder,
    /// Amazon S3, and what speaks its protocol.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
}

impl ObjectSettings {
    /// The kind: a variable, or the file. A word that is none is handed back.
    pub(crate) fn store(&self) -> Result<ObjectBackend, String> {
        match variable("CSW_OBJECTS").as_deref() {
            None => Ok(self.store.unwrap_or_default()),
            Some("folder") => Ok(ObjectBackend::Folder),
            Some("s3") => Ok(ObjectBackend::S3),
            Some("gcs") => Ok(ObjectBackend::Gcs),
            Some("azure") => Ok(ObjectBackend::Azure),
            Some(other) => Err(other.to_owned()),
        }
    }

    pub(crate) fn bucket(&self) -> Option<String> {
        variable("CSW_OBJECTS_BUCKET").or_else(|| self.bucket.clone())
    }

    pub(crate) fn prefix(&self) -> String {
        let prefix = variable("CSW_OBJECTS_PREFIX").or_else(|| self.prefix.clone()).unwrap_or_default();
        prefix.trim_matches('/').to_owned()
    }

    pub(crate) fn endpoint(&self) -> Option<String> {
        variable("CSW_OBJECTS_ENDPOINT").or_else(|| self.endpoint.clone())
    }

    pub(crate) fn region(&self) -> Option<String> {
        variable("CSW_OBJECTS_REGION").or_else(|| self.region.clone())
    }
}
