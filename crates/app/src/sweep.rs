//! Objects that nobody names: of runs that were killed between storing an output and recording it, and of accounts that
//! were removed; in a bucket also of simulations that were deleted. They are looked for at the start and once a day.

use std::time::Duration;

use csw_core::output::{THUMBNAILS, hash_in_key};
use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};

use crate::{App, error::AppResult};

/// The folder of outputs in the object storage.
const OUTPUTS: &str = "outputs";

/// A run may take a week, and keeps its outputs until they are recorded.
const AGE: SignedDuration = SignedDuration::from_hours(9 * 24);

/// Objects that are looked up at once.
const BATCH: usize = 500;

/// How often it is done.
pub(crate) const SWEEP_PERIOD: Duration = Duration::from_hours(24);

impl App {
    /// Removes old objects that no output has, thumbnails included; how many.
    pub(crate) async fn sweep_objects(&self) -> AppResult<u64> {
        Ok(self.sweep_folder(OUTPUTS).await? + self.sweep_folder(THUMBNAILS).await?)
    }

    async fn sweep_folder(&self, folder: &str) -> AppResult<u64> {
        let before = self.now() - AGE;
        let old = self.inner.ports.objects.put_before(folder, before).await?;
        let mut batches = old.chunks(BATCH);
        let mut removed = 0;
        while let Some(batch) = batches.next().await {
            let keys = batch.into_iter().collect::<Result<Vec<_>, _>>()?;
            let hashes: Vec<String> = keys.iter().map(|key| hash_in_key(key).to_owned()).collect();
            let unnamed = self.store().unnamed_objects(&hashes).await?;
            for key in keys.iter().filter(|key| unnamed.iter().any(|hash| hash == hash_in_key(key))) {
                removed += u64::from(self.delete_old_object(key, before).await?);
            }
        }
        Ok(removed)
    }

    /// Removes an object, unless a run that is at work has stored the same bytes and not yet recorded them. Where other
    /// processes store objects too, only time tells: the object is left until it is old.
    pub(crate) async fn delete_object(&self, key: &str) -> AppResult<bool> {
        if self.inner.ports.objects.is_shared() {
            return Ok(false);
        }
        // Held until it is gone, so that none begins to in between.
        let reports = self.inner.reports.lock().await;
        if reports.values().any(|pending| pending.keeps(key)) {
            return Ok(false);
        }
        self.inner.ports.objects.delete(key).await?;
        Ok(true)
    }

    async fn delete_old_object(&self, key: &str, before: Timestamp) -> AppResult<bool> {
        let reports = self.inner.reports.lock().await;
        if reports.values().any(|pending| pending.keeps(key)) {
            return Ok(false);
        }
        Ok(self.inner.ports.objects.delete_put_before(key, before).await?)
    }
}
