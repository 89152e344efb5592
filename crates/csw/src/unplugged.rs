//! The ports of commands that touch nothing but the database: they have no models to run or build, and refuse to.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use csw_core::{
    build::{Source, Stage},
    ids::{RunId, VersionId},
    look::Found,
    names::ModelName,
    ports::{
        BuildError, BuildLog, BuildOptions, Built, Capacity, Checkout, Comparison, DownloadHeaders, Executor,
        ExecutorError, GitAnswer, GitRequest, Mail, MailError, Mailer, MergeResult, MergeWish, ObjectError,
        ObjectStorage, Publisher, Repositories, RepositoryError, RunEvents, TestReport, Zygotes,
    },
    repository::RepositoryId,
    run::RunOrder,
    secret::Secrets,
};
use futures::stream::BoxStream;
use jiff::Timestamp;

const WHY: &str = "this command only touches the database";

/// Refuses everything.
pub(crate) struct Unplugged;

fn no_build() -> BuildError {
    BuildError { stage: Stage::Fetch, sentence: WHY.to_owned() }
}

fn no_repository() -> RepositoryError {
    RepositoryError::Unavailable { cause: WHY.to_owned() }
}

fn no_object(key: &str) -> ObjectError {
    ObjectError::Unavailable { key: key.to_owned(), cause: WHY.to_owned() }
}

#[async_trait]
impl Executor for Unplugged {
    async fn start(&self, _: RunOrder, _: Arc<dyn RunEvents>) -> Result<(), ExecutorError> {
        Err(ExecutorError::Unavailable { cause: WHY.to_owned() })
    }

    async fn cancel(&self, _: RunId) {}

    async fn live(&self) -> Vec<RunId> {
        Vec::new()
    }

    async fn warm(&self, _: RunOrder) {}

    async fn evict(&self, _: VersionId) {}

    fn capacity(&self) -> Capacity {
        Capacity { cpus: 0.0, memory_bytes: 0, runs: 0 }
    }

    fn zygotes(&self) -> Zygotes {
        Zygotes::default()
    }

    async fn shut_down(&self, _: u32) {}
}

#[async_trait]
impl Repositories for Unplugged {
    async fn serve(&self, _: RepositoryId, _: GitRequest) -> Result<GitAnswer, RepositoryError> {
        Err(no_repository())
    }

    async fn refs(&self, _: RepositoryId) -> Result<Vec<(String, String)>, RepositoryError> {
        Err(no_repository())
    }

    async fn begin(&self, _: RepositoryId, _: &[(&str, &str)], _: Timestamp) -> Result<(), RepositoryError> {
        Err(no_repository())
    }

    async fn compare(&self, _: RepositoryId, _: &str, _: &str) -> Result<Comparison, RepositoryError> {
        Err(no_repository())
    }

    async fn files(&self, _: RepositoryId, _: &str, _: &str) -> Result<Vec<String>, RepositoryError> {
        Err(no_repository())
    }

    async fn text(&self, _: RepositoryId, _: &str, _: &str) -> Result<Option<String>, RepositoryError> {
        Err(no_repository())
    }

    async fn tree(&self, _: RepositoryId, _: &str) -> Result<String, RepositoryError> {
        Err(no_repository())
    }

    async fn contains(&self, _: RepositoryId, _: &str, _: &str) -> Result<bool, RepositoryError> {
        Err(no_repository())
    }

    async fn merge(&self, _: RepositoryId, _: &MergeWish) -> Result<MergeResult, RepositoryError> {
        Err(no_repository())
    }

    async fn move_branch(&self, _: RepositoryId, _: &str, _: &str, _: Option<&str>) -> Result<bool, RepositoryError> {
        Err(no_repository())
    }
}

#[async_trait]
impl Publisher for Unplugged {
    async fn fetch(&self, _: &Source, _: &BuildOptions, _: &dyn BuildLog) -> Result<Checkout, BuildError> {
        Err(no_build())
    }

    async fn look(&self, _: &Source, _: &dyn BuildLog) -> Result<Found, BuildError> {
        Err(no_build())
    }

    async fn build(
        &self,
        _: &ModelName,
        _: &Checkout,
        _: &BuildOptions,
        _: &dyn BuildLog,
    ) -> Result<Built, BuildError> {
        Err(no_build())
    }

    async fn test(
        &self,
        _: &ModelName,
        _: &Checkout,
        _: &Built,
        _: &BuildOptions,
        _: &Secrets,
        _: &dyn BuildLog,
    ) -> Result<TestReport, BuildError> {
        Err(no_build())
    }

    async fn assets(&self, _: &Checkout, _: &Built) -> Result<Vec<(String, Bytes)>, BuildError> {
        Err(no_build())
    }

    async fn discard(&self, _: Checkout) {}
}

#[async_trait]
impl ObjectStorage for Unplugged {
    async fn put(&self, key: &str, _: Bytes) -> Result<(), ObjectError> {
        Err(no_object(key))
    }

    async fn put_file(&self, key: &str, _: &Path) -> Result<(), ObjectError> {
        Err(no_object(key))
    }

    async fn size(&self, key: &str) -> Result<Option<u64>, ObjectError> {
        Err(no_object(key))
    }

    async fn get(
        &self,
        key: &str,
        _: Option<std::ops::Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes, ObjectError>>, ObjectError> {
        Err(no_object(key))
    }

    async fn put_before(
        &self,
        prefix: &str,
        _: Timestamp,
    ) -> Result<BoxStream<'static, Result<String, ObjectError>>, ObjectError> {
        Err(no_object(prefix))
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        Err(no_object(key))
    }

    async fn delete_put_before(&self, key: &str, _: Timestamp) -> Result<bool, ObjectError> {
        Err(no_object(key))
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn signed_download(
        &self,
        key: &str,
        _: &DownloadHeaders,
        _: std::time::Duration,
    ) -> Result<Option<String>, ObjectError> {
        Err(no_object(key))
    }
}

#[async_trait]
impl Mailer for Unplugged {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        Err(MailError { to: mail.to.clone(), cause: WHY.to_owned() })
    }
}
