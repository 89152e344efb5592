//! A build that this server looks after: what was asked of its process, what came of it, and what is seen of its Job.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use csw_core::{ids::BuildId, model::BuildLimits, names::ModelName};
use k8s_openapi::api::core::v1::Pod;
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    manifest::job_name,
    wire::{Answer, Command, Next, Progress},
};
use crate::{seen::SeenJob, standing::Waiting};

/// A build between its fetch and its release.
pub(super) struct Session {
    pub(super) build: BuildId,
    pub(super) model: ModelName,
    pub(super) limits: BuildLimits,
    state: Mutex<State>,
    /// Changes with everything that somebody may wait for.
    changes: watch::Sender<u64>,
    /// What is seen in the cluster of its present attempt.
    pub(super) seen: watch::Sender<Seen>,
}

#[derive(Default)]
struct State {
    attempt: u32,
    /// The process that is heard.
    process: Option<Uuid>,
    /// Bytes of its log.
    received: u64,
    /// Of which these wait to be written.
    log: Vec<u8>,
    commands: Vec<(String, Command)>,
    answers: HashMap<String, Answer>,
    /// Why nothing comes any more.
    trouble: Option<String>,
    /// Source that only this server has.
    source: Option<PathBuf>,
    over: bool,
}

/// What is known of an attempt without asking it.
#[derive(Clone, Default)]
pub(super) struct Seen {
    pub(super) job: Option<Arc<SeenJob>>,
    /// It was there and is not any more.
    pub(super) gone: bool,
    pub(super) pods: BTreeMap<String, Pod>,
    /// What an event says.
    pub(super) event: Option<Waiting>,
    /// Its process was heard.
    pub(super) heard: bool,
    /// Nobody needs it any more.
    pub(super) over: bool,
}

/// Whether a process is heard.
pub(super) struct NotHeard;

impl Session {
    pub(super) fn new(build: BuildId, model: ModelName, limits: BuildLimits, attempt: u32) -> Self {
        let state = State { attempt, ..State::default() };
        let (changes, seen) = (watch::Sender::new(0), watch::Sender::new(Seen::default()));
        Self { build, model, limits, state: Mutex::new(state), changes, seen }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changes.send_modify(|count| *count += 1);
        changed
    }

    pub(super) fn see(&self, change: impl FnOnce(&mut Seen)) {
        self.seen.send_modify(change);
    }

    /// Wakes with whatever happens from now on.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn attempt(&self) -> u32 {
        self.lock().attempt
    }

    /// The name of its present Job.
    pub(super) fn job(&self) -> String {
        job_name(self.build, self.attempt())
    }

    /// Another Job takes over: nothing that the former one's process says counts from now on.
    pub(super) fn begin_again(&self) {
        self.change(|state| (state.attempt, state.process) = (state.attempt + 1, None));
        self.seen.send_replace(Seen::default());
    }

    /// Puts a command behind the others, unless it was given before; its key.
    pub(super) fn ask(&self, command: Command) -> String {
        let key = command.key();
        self.change(|state| {
            if !state.commands.iter().any(|(known, _)| *known == key) {
                state.commands.push((key.clone(), command));
            }
        });
        key
    }

    pub(super) fn was_asked(&self, command: &Command) -> bool {
        let key = command.key();
        self.lock().commands.iter().any(|(known, _)| *known == key)
    }

    pub(super) fn answer_to(&self, key: &str) -> Option<Answer> {
        self.lock().answers.get(key).cloned()
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.lock().trouble.clone()
    }

    /// Nothing comes any more, and why.
    pub(super) fn fail(&self, sentence: String) {
        self.change(|state| state.trouble = Some(sentence));
    }

    /// Adds a line of the server's own to the log.
    pub(super) fn note(&self, line: &str) {
        self.change(|state| state.log.extend_from_slice(line.as_bytes()));
    }

    /// Takes the log that waits; a character that is not whole yet stays.
    pub(super) fn take_log(&self) -> String {
        let mut state = self.lock();
        let whole = match std::str::from_utf8(&state.log) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => state.log.len(),
        };
        let rest = state.log.split_off(whole);
        String::from_utf8_lossy(&std::mem::replace(&mut state.log, rest)).into_owned()
    }

    pub(super) fn keep_source(&self, file: PathBuf) {
        self.change(|state| state.source = Some(file));
    }

    pub(super) fn source(&self) -> Option<PathBuf> {
        self.lock().source.clone()
    }

    /// Nobody needs it any more; the source that was kept for it.
    pub(super) fn end(&self) -> Option<PathBuf> {
        let source = self.change(|state| {
            state.over = true;
            state.source.take()
        });
        self.see(|seen| seen.over = true);
        source
    }

    pub(super) fn is_over(&self) -> bool {
        self.lock().over
    }

    /// A process asks for its order: from now on it is the one that is heard, from its beginning.
    pub(super) fn hear(&self, process: Uuid) -> Result<(), NotHeard> {
        if self.is_over() {
            return Err(NotHeard);
        }
        self.change(|state| {
            if state.process != Some(process) {
                (state.process, state.received) = (Some(process), 0);
            }
        });
        self.see(|seen| seen.heard = true);
        Ok(())
    }

    /// The turn of a process. Whoever comes first after this server was restarted is the one that was heard before.
    pub(super) fn turn(&self, process: Uuid) -> Result<(), NotHeard> {
        let heard = self.lock().process;
        match heard {
            Some(heard) if heard == process && !self.is_over() => Ok(()),
            None => self.hear(process),
            Some(_) => Err(NotHeard),
        }
    }

    /// What is wanted of a process that has come so far.
    pub(super) fn next(&self, progress: &Progress) -> Next {
        let state = self.lock();
        let is_new = |(key, _): &&(String, Command)| !progress.known.contains(key);
        let commands = state.commands.iter().filter(is_new).map(|(_, command)| command.clone()).collect();
        let is_untold =
            |key: &&String| !state.answers.contains_key(*key) && state.commands.iter().any(|(known, _)| known == *key);
        Next { commands, untold: progress.answered.iter().filter(is_untold).cloned().collect() }
    }

    /// Takes a piece of the log; how much of it is here. What is known is left out, and before what is missing nothing is
    /// taken.
    pub(super) fn write(&self, offset: u64, piece: &[u8]) -> u64 {
        self.change(|state| {
            if let Some(known) = state.received.checked_sub(offset)
                && let Ok(known) = usize::try_from(known)
                && known < piece.len()
            {
                state.log.extend_from_slice(&piece[known..]);
                state.received += (piece.len() - known) as u64;
            }
            state.received
        })
    }

    /// Takes an answer, if all of the log before it is here; the error is how much of it is. The first one counts.
    pub(super) fn answer(&self, key: String, answer: Answer, log: u64) -> Result<(), u64> {
        self.change(|state| {
            if state.received < log {
                return Err(state.received);
            }
            state.answers.entry(key).or_insert(answer);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        let build = "0198c0de-0000-7000-8000-000000000001".parse().unwrap();
        Session::new(build, "owner/Title".parse().unwrap(), BuildLimits::default(), 1)
    }

    #[test]
    fn what_is_asked_twice_is_given_once_and_again_to_whoever_has_forgotten() {
        let session = session();
        let key = session.ask(Command::Discard);
        assert_eq!(session.ask(Command::Discard), key);
        assert_eq!(session.next(&Progress::default()).commands.len(), 1);
        let known = Progress { known: vec![key.clone()], answered: vec![] };
        assert!(session.next(&known).commands.is_empty());
        // This server was restarted meanwhile, and has no answer.
        let told = Progress { answered: vec![key.clone()], ..known };
        assert_eq!(session.next(&told).untold, *std::slice::from_ref(&key));
        session.answer(key.clone(), Answer::Done, 0).unwrap();
        assert!(session.next(&told).untold.is_empty());
    }

    #[test]
    fn one_process_is_heard() {
        let (session, first, second) = (session(), Uuid::from_u128(1), Uuid::from_u128(2));
        assert!(session.turn(first).is_ok(), "it was heard by the server before this one");
        assert!(session.turn(second).is_err());
        assert!(session.hear(second).is_ok(), "the cluster has replaced its pod");
        assert!(session.turn(first).is_err());
        session.end();
        assert!(session.turn(second).is_err());
    }

    #[test]
    fn the_log_has_no_holes_and_no_halves() {
        let session = session();
        assert_eq!(session.write(0, "é".as_bytes().get(..1).unwrap()), 1);
        assert_eq!(session.take_log(), "");
        assert_eq!(session.write(5, b"later"), 1);
        assert_eq!(session.write(0, "é!".as_bytes()), 3);
        assert_eq!(session.take_log(), "é!");
        assert_eq!(session.answer("k".to_owned(), Answer::Done, 9), Err(3));
    }
}
