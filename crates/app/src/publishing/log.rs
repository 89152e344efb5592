//! The log of a build, on its way to the database through a channel, without the model's secrets.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use csw_core::{
    ids::BuildId,
    masking::{Masker, Masks},
    ports::BuildLog,
    run::LogOf,
    secret::Secrets,
};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{App, patience::Patience};

/// Takes the text of a build.
pub(super) struct ChannelLog {
    sender: mpsc::UnboundedSender<String>,
    /// What covers the secrets, in other texts too.
    pub(super) masks: Arc<Masks>,
    masker: Mutex<Masker>,
}

impl ChannelLog {
    fn new(sender: mpsc::UnboundedSender<String>, secrets: &Secrets) -> Self {
        let masks = Arc::new(Masks::of(secrets.values()));
        Self { sender, masker: Mutex::new(masks.stream()), masks }
    }

    fn masker(&self) -> MutexGuard<'_, Masker> {
        self.masker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send(&self, text: &[u8]) {
        if !text.is_empty() {
            // The writer ends with the build; what comes later is of no interest.
            let _ = self.sender.send(String::from_utf8_lossy(text).into_owned());
        }
    }
}

impl BuildLog for ChannelLog {
    fn write(&self, text: &str) {
        let text = self.masker().push(text.as_bytes());
        self.send(&text);
    }
}

impl Drop for ChannelLog {
    fn drop(&mut self) {
        let rest = self.masker().finish();
        self.send(&rest);
    }
}

impl App {
    /// A log that goes on where it ended, and the task that stores it and ends when the log is dropped.
    pub(super) fn open_log(&self, build: BuildId, secrets: &Secrets) -> (ChannelLog, JoinHandle<()>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (ChannelLog::new(sender, secrets), tokio::spawn(self.clone().store_log(build, receiver)))
    }

    async fn store_log(self, build: BuildId, mut lines: mpsc::UnboundedReceiver<String>) {
        let log = LogOf::Build(build);
        let mut patience = Patience::new();
        let mut offset = loop {
            match self.store().log_length(log).await {
                Ok(length) => break length,
                Err(error) => tracing::warn!(%build, %error, "the log of a build waits to be read"),
            }
            patience.pause().await;
        };
        while let Some(mut text) = lines.recv().await {
            while let Ok(more) = lines.try_recv() {
                text.push_str(&more);
            }
            let bytes = Bytes::from(text);
            let mut patience = Patience::new();
            while let Err(error) = self.store().append_log(log, offset, bytes.clone(), self.now()).await {
                tracing::warn!(%build, %error, "the log of a build waits to be stored");
                patience.pause().await;
            }
            offset += bytes.len() as u64;
        }
    }
}
