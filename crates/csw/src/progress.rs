//! Bars of long work, on a terminal and for people only.

use std::{
    collections::HashMap,
    io::IsTerminal,
    sync::{Arc, Mutex},
};

use csw_publish::image::{Counter, Progress};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Printer;

const TEMPLATE: &str = "{msg:28} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}";

/// A bar for each blob that moves.
pub(crate) struct Bars {
    all: MultiProgress,
    bars: Mutex<HashMap<String, ProgressBar>>,
}

impl Bars {
    /// Bars on stderr, where that is a terminal and nobody asked for JSON.
    pub(crate) fn new(printer: Printer) -> Self {
        let shown = !printer.is_json() && std::io::stderr().is_terminal();
        let target = if shown { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        Self { all: MultiProgress::with_draw_target(target), bars: Mutex::default() }
    }

    fn bar(&self, what: &str, total: u64) -> ProgressBar {
        let mut bars = match self.bars.lock() {
            Ok(bars) => bars,
            Err(poisoned) => poisoned.into_inner(),
        };
        let bar = bars.entry(what.to_owned()).or_insert_with(|| {
            let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(total).with_style(style.progress_chars("=> ")).with_message(what.to_owned());
            self.all.add(bar)
        });
        bar.clone()
    }
}

impl Progress for Bars {
    fn moved(&self, what: &str, done: u64, total: u64) {
        let bar = self.bar(what, total);
        bar.set_position(done);
        if done >= total {
            bar.finish();
        }
    }

    fn counter(&self, what: &str, from: u64, total: u64) -> Counter {
        let bar = self.bar(what, total);
        bar.set_position(from);
        Arc::new(move |bytes| {
            bar.inc(bytes);
            if bar.position() >= total {
                bar.finish();
            }
        })
    }
}
