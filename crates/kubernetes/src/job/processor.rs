//! Outputs on their way through the outputs processor.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use csw_core::{causes::chain, ports::ReportError, run::OutputDraft};
use reqwest::{Method, StatusCode};

use super::{Carrier, body_from, later};
use crate::wire::{Head, IN_MEMORY, OUTPUT, OutputPlace, Receipt, Received, Stored};

/// Where it is, and what it has stored.
pub(super) struct Processor {
    pub(super) url: String,
    receipts: Mutex<HashMap<OutputPlace, Stored>>,
}

impl Processor {
    pub(super) fn new(url: &str) -> Self {
        Self { url: url.trim_end_matches('/').to_owned(), receipts: Mutex::default() }
    }

    fn receipts(&self) -> MutexGuard<'_, HashMap<OutputPlace, Stored>> {
        self.receipts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What it has stored, with its word.
    pub(super) fn stored(&self) -> Vec<Stored> {
        self.receipts().values().cloned().collect()
    }

    /// Has an output stored; false: only the server knows this run, and has to be sent it.
    pub(super) async fn store(&self, carrier: &Carrier, draft: &OutputDraft) -> Result<bool, ReportError> {
        let head = Head::of(draft);
        if self.receipts().contains_key(&head.place()) {
            return Ok(true);
        }
        let request = |method| carrier.request_at(&self.url, method, "/write/").header(OUTPUT, head.encode());
        let mut offset = 0;
        // Of a large one the most may be there, and whoever is not heard need not send any.
        if draft.size > IN_MEMORY {
            let answer = request(Method::GET).send().await;
            if answer.as_ref().is_ok_and(|answer| answer.status() == StatusCode::NOT_FOUND) {
                return Ok(false);
            }
            let answer = carrier.heard(answer)?.json::<Received>().await;
            offset = answer.map_err(|error| later(&chain(&error)))?.received;
        }
        let body = body_from(draft, offset).await?;
        let answer = request(Method::PUT).query(&[("offset", offset)]).body(body).send().await;
        if answer.as_ref().is_ok_and(|answer| answer.status() == StatusCode::NOT_FOUND) {
            return Ok(false);
        }
        let answer = carrier.heard(answer)?.json::<Receipt>().await;
        let Receipt { receipt } = answer.map_err(|error| later(&chain(&error)))?;
        self.receipts().insert(head.place(), Stored { head, receipt });
        Ok(true)
    }
}
