//! Which object storage a site has.

use std::{path::Path, sync::Arc, time::Duration};

use csw_core::{
    ports::{ObjectError, ObjectStorage, SecretStore},
    secret::{SecretName, SecretScope},
};
use csw_store::{BucketConfig, BucketCredentials, BucketObjects, FolderObjects, Provider};
use csw_web::SignedDownloads;

use crate::{
    failure::{Failure, Outcome},
    settings::{ObjectBackend, ObjectSettings, Settings},
};

/// The folder of objects in the data folder.
pub(crate) const FOLDER: &str = "objects";

const KEYS: &str = "docs/operators.md lists every key of [objects]";

/// Bytes from which a download is sent on, where the operator wants that.
const LARGE: u64 = 1_000_000;

/// How long a signed address is good.
const VALID: Duration = Duration::from_mins(5);

/// The object storage of a server. What a former process left half-written in a folder is removed.
pub(super) async fn storage(
    settings: &Settings,
    data: &Path,
    secrets: &dyn SecretStore,
) -> Outcome<Arc<dyn ObjectStorage>> {
    if let Some(bucket) = bucket(settings, Some(secrets)).await? {
        return Ok(Arc::new(bucket));
    }
    let folder = data.join(FOLDER);
    Ok(Arc::new(FolderObjects::open(&folder).map_err(|error| Failure::file(&folder, &error))?))
}

/// The bucket that the settings name, unless they name none. Its credentials may be a secret of the site.
pub(super) async fn bucket(settings: &Settings, secrets: Option<&dyn SecretStore>) -> Outcome<Option<BucketObjects>> {
    let given = &settings.objects;
    let provider = match backend(given)? {
        ObjectBackend::Folder => return Ok(None),
        ObjectBackend::S3 => Provider::S3,
        ObjectBackend::Gcs => Provider::Gcs,
        ObjectBackend::Azure => Provider::Azure,
    };
    let bucket = given.bucket().ok_or_else(|| Failure::usage("object storage needs `objects.bucket`", KEYS))?;
    let config = BucketConfig {
        prefix: given.prefix(),
        endpoint: given.endpoint(),
        region: given.region(),
        account: given.account.clone(),
        profile: given.credentials_profile.clone(),
        virtual_host: given.virtual_host,
        conditional_puts: given.conditional_puts.unwrap_or(true),
        credentials: credentials(given, secrets).await?,
        ..BucketConfig::new(provider, &bucket)
    };
    Ok(Some(BucketObjects::open(config).map_err(unusable)?))
}

fn backend(given: &ObjectSettings) -> Outcome<ObjectBackend> {
    given.store().map_err(|word| {
        Failure::usage(format!("`{word}` is no kind of object storage"), "CSW_OBJECTS is folder, s3, gcs or azure")
    })
}

#[allow(clippy::needless_pass_by_value, reason = "an error on its way out")]
pub(crate) fn unusable(error: ObjectError) -> Failure {
    Failure::local(error.to_string(), format!("is the bucket in reach, and its credentials good? {KEYS}"))
}

async fn credentials(given: &ObjectSettings, secrets: Option<&dyn SecretStore>) -> Outcome<BucketCredentials> {
    if let Some(file) = &given.credentials_file {
        let text = std::fs::read_to_string(file).map_err(|error| Failure::file(file, &error))?;
        return Ok(BucketCredentials::Text(text));
    }
    let (Some(name), Some(secrets)) = (&given.credentials_secret, secrets) else {
        return Ok(BucketCredentials::Ambient);
    };
    let set = format!("set it with `csw svc secrets set --secret-name {name} --secret-file FILE`");
    let wrong = |sentence: String| Failure::usage(sentence, set.clone());
    let secret: SecretName = name.parse().map_err(|_| wrong(format!("`{name}` is no name of a secret")))?;
    let value = secrets.get(&SecretScope::Site, &secret, None).await.map_err(|error| wrong(error.to_string()))?;
    Ok(BucketCredentials::Text(value.expose().to_owned()))
}

/// Which downloads the storage serves itself.
pub(super) fn signed_downloads(settings: &Settings) -> Option<SignedDownloads> {
    let given = &settings.objects;
    given.signed_downloads.then(|| SignedDownloads {
        from_bytes: given.signed_above_bytes.unwrap_or(LARGE),
        valid: given.signed_seconds.map_or(VALID, Duration::from_secs),
    })
}
