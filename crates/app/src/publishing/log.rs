//! The log of a build, on its way to the database through a channel.

use bytes::Bytes;
use csw_core::{ids::BuildId, ports::BuildLog, run::LogOf};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{App, patience::Patience};

/// Takes the text of a build.
pub(super) struct ChannelLog(mpsc::UnboundedSender<String>);

impl BuildLog for ChannelLog {
    fn write(&self, text: &str) {
        // The writer ends with the build; what comes later is of no interest.
        let _ = self.0.send(text.to_owned());
    }
}

impl App {
    /// A log that goes on where it ended, and the task that stores it and ends when the log is dropped.
    pub(super) fn open_log(&self, build: BuildId) -> (ChannelLog, JoinHandle<()>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (ChannelLog(sender), tokio::spawn(self.clone().store_log(build, receiver)))
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
