//! The bucket of outputs, tried: what a site does with it, and whether strangers can read it.

use bytes::Bytes;
use csw_core::ports::{DownloadHeaders, ObjectError, ObjectStorage};
use csw_sandbox::doctor::State;
use csw_store::BucketObjects;
use futures::TryStreamExt;
use jiff::{SignedDuration, Timestamp};

use super::Finding;
use crate::{cli::Place, failure::Outcome, settings::Settings, wiring};

/// What the trial object holds.
const BODY: &[u8] = b"csw doctor was here";

const COST: &str = "outputs can't be stored, and runs wait";

/// Nothing, where outputs are in a folder.
pub(super) async fn examine(settings: &Settings, place: &Place) -> Vec<Finding> {
    match bucket(settings, place).await {
        Ok(None) => Vec::new(),
        Ok(Some(bucket)) => {
            let name = bucket.name();
            match round(&bucket).await {
                Ok((state, detail)) => vec![finding(state, format!("{name}: {detail}"))],
                Err(error) => vec![finding(State::Missing, error.to_string())],
            }
        }
        Err(failure) => vec![finding(State::Missing, failure.to_string())],
    }
}

/// A database is opened only where it has the credentials: nothing is made by looking.
async fn bucket(settings: &Settings, place: &Place) -> Outcome<Option<BucketObjects>> {
    if settings.objects.credentials_secret.is_none() {
        return wiring::bucket_without_secrets(settings).await;
    }
    let store = wiring::open_existing(&wiring::Database::choose(settings, place)).await?;
    wiring::bucket(settings, &settings.data(place), &store).await
}

/// Puts, reads, lists, signs and removes one object.
async fn round(bucket: &BucketObjects) -> Result<(State, String), ObjectError> {
    let name = format!("{}-{}", std::process::id(), Timestamp::now().as_microsecond());
    let key = format!("doctor/{name}");
    bucket.put(&key, Bytes::from_static(BODY)).await?;
    let tried = try_object(bucket, &key).await;
    bucket.delete(&key).await?;
    tried
}

async fn try_object(bucket: &BucketObjects, key: &str) -> Result<(State, String), ObjectError> {
    let parts: Vec<Bytes> = bucket.get(key, Some(0..BODY.len() as u64)).await?.try_collect().await?;
    let later = Timestamp::now() + SignedDuration::from_hours(24);
    let listed: Vec<String> = bucket.put_before("doctor", later).await?.try_collect().await?;
    if parts.concat() != BODY || !listed.iter().any(|one| one == key) {
        return Ok((State::Missing, "what was put does not come back".to_owned()));
    }
    if bucket.is_public(key).await? {
        return Ok((State::Degraded, "strangers can read it: take public access away".to_owned()));
    }
    let headers =
        DownloadHeaders { content_type: "text/plain".to_owned(), content_disposition: "attachment".to_owned() };
    let signed = bucket.signed_download(key, &headers, std::time::Duration::from_mins(1)).await;
    Ok((
        State::Present,
        match signed {
            Ok(Some(_)) => "private; put, read, listed, signed and removed an object".to_owned(),
            Ok(None) | Err(_) => {
                "private; put, read, listed and removed an object; its credentials sign no downloads".to_owned()
            }
        },
    ))
}

fn finding(state: State, detail: String) -> Finding {
    Finding {
        kind: "objects",
        name: "bucket".to_owned(),
        state,
        needed: true,
        detail,
        cost_of_absence: COST.to_owned(),
    }
}
