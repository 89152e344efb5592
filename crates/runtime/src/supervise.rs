//! What is done while a run's process lives: its log and outputs are passed on, and it is ended when it must be.

use std::{
    path::{Path, PathBuf},
    pin::pin,
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use csw_core::{
    ports::RunEvents,
    run::{Outcome, RunOrder, Usage},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::unix::{OwnedReadHalf, pipe},
    time::Instant,
};

use crate::{
    frame::{Frame, FrameError, Frames, Report},
    group::RunGroup,
    outgoing::Outgoing,
    process::{Exit, Process},
    report::{self, Undelivered},
    space,
    stops::{Stop, Stops},
    verdict,
};

/// A process that has closed its socket, or whose socket outlives it, gets so long to end the other half.
const AFTERMATH: Duration = Duration::from_secs(2);

const LOG_CHUNK: usize = 64 * 1024;

/// What a run's supervisor works with.
pub(crate) struct Supervisor<'a> {
    pub(crate) order: &'a RunOrder,
    pub(crate) events: &'a dyn RunEvents,
    pub(crate) stops: &'a Stops,
    /// Where outputs wait.
    pub(crate) folder: &'a Path,
    /// Bytes of log that are passed on.
    pub(crate) log_bytes: u64,
    /// Whether memory is limited by address space: then an error of memory is the limit.
    pub(crate) memory_by_address_space: bool,
}

/// What came of a process.
pub(crate) struct Supervised {
    /// `None`: the run is no longer ours, and nobody is to hear of it.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) model_version: Option<String>,
    /// From the first sign of life to the model's code being imported.
    pub(crate) import: Duration,
    /// Milliseconds of the model's function.
    pub(crate) run: u64,
    pub(crate) usage: Usage,
}

enum End {
    Reported(Box<Report>),
    Exited(Exit),
    Stopped(Stop),
    Stale,
    /// It lives, and has closed its socket.
    Unreported,
    Garbled(String),
    /// The platform's own fault.
    Lost(String),
}

struct State {
    begun: Instant,
    import: Duration,
    outgoing: Option<Outgoing>,
    /// What the run may write to.
    folder: PathBuf,
}

impl Supervisor<'_> {
    /// Sends the arguments and stays until the process is over, or has to be.
    pub(crate) async fn supervise(&self, process: Process, arguments: Vec<u8>) -> Supervised {
        let Process { socket, log, mut exit, mut killer, group, folder, keeps } = process;
        let (reader, mut writer) = socket.into_split();
        let mut log = Log { pipe: Some(log), left: self.log_bytes, cut: false };
        let mut frames = Frames::new(reader);
        let mut state = State { begun: Instant::now(), import: Duration::ZERO, outgoing: None, folder };
        // Arguments may be larger than the socket holds; the model may write before it has read them all.
        let mut send = pin!(async move {
            // Whoever does not take them ends, and that is seen.
            let _ = writer.write_all(&arguments).await;
            writer
        });
        let end = {
            let mut life = pin!(self.live(&mut frames, &mut log, &mut exit, &mut state));
            let mut sent = None;
            loop {
                tokio::select! {
                    end = &mut life => break end,
                    half = &mut send, if sent.is_none() => sent = Some(half),
                }
            }
        };
        killer.kill();
        for chunk in log.rest() {
            self.events.log(self.order, chunk).await;
        }
        drop(keeps);
        self.conclude(end, &state, group.as_deref())
    }

    async fn live(
        &self,
        frames: &mut Frames<OwnedReadHalf>,
        log: &mut Log,
        exit: &mut tokio::sync::oneshot::Receiver<Exit>,
        state: &mut State,
    ) -> End {
        let mut exited = None;
        let mut open = true;
        let mut aftermath = pin!(tokio::time::sleep(AFTERMATH));
        loop {
            tokio::select! {
                // In this order: what has arrived is read before a time that has passed meanwhile counts. Storing an output
                // may take longer than any patience.
                biased;
                stop = self.stops.requested() => return End::Stopped(stop),
                found = &mut *exit, if exited.is_none() => {
                    exited = Some(found.unwrap_or(Exit::Unknown));
                    aftermath.as_mut().reset(Instant::now() + AFTERMATH);
                }
                frame = frames.next(), if open => match self.take(frame, state).await {
                    Ok(true) => {}
                    Ok(false) => {
                        open = false;
                        aftermath.as_mut().reset(Instant::now() + AFTERMATH);
                    }
                    Err(end) => return end,
                },
                Some(chunk) = log.next(), if log.pipe.is_some() => self.events.log(self.order, chunk).await,
                () = &mut aftermath, if !open || exited.is_some() => {
                    return exited.map_or_else(|| End::Unreported, End::Exited);
                }
            }
            // What it said last is read before its end is told.
            if !open && let Some(exit) = exited.take() {
                return End::Exited(exit);
            }
        }
    }

    /// Acts on a frame. False: there are no more.
    async fn take(&self, frame: Result<Option<Frame>, FrameError>, state: &mut State) -> Result<bool, End> {
        match frame {
            Ok(Some(Frame::Imported)) => state.import = state.begun.elapsed(),
            Ok(Some(Frame::Output(head))) => state.outgoing = Some(Outgoing::new(head)),
            Ok(Some(Frame::Data(part))) => match &mut state.outgoing {
                Some(outgoing) => self.keep(outgoing, &part).await?,
                None => return Err(End::Garbled("bytes of no output".to_owned())),
            },
            Ok(Some(Frame::OutputEnd)) => {
                let Some(outgoing) = state.outgoing.take() else {
                    return Err(End::Garbled("the end of no output".to_owned()));
                };
                let (draft, _file) = outgoing.finish();
                match report::output(self.events, self.order, draft, self.stops).await {
                    Ok(()) => {}
                    Err(Undelivered::Stale) => return Err(End::Stale),
                    Err(Undelivered::Stopped(stop)) => return Err(End::Stopped(stop)),
                }
            }
            // The machine's fault, unless the run took the room itself.
            Ok(Some(Frame::Report(report)))
                if report.disk_full && space::is_short(self.folder) && !space::is_greedy(&state.folder) =>
            {
                return Err(End::Lost("the disk of this machine was full while the model ran".to_owned()));
            }
            Ok(Some(Frame::Report(report))) => return Err(End::Reported(report)),
            Ok(None) | Err(FrameError::Broken(_)) => return Ok(false),
            Err(FrameError::Garbled(what)) => return Err(End::Garbled(what)),
        }
        Ok(true)
    }

    /// Keeps a part of an output. On a full disk it waits, as long as nobody stops the run.
    async fn keep(&self, outgoing: &mut Outgoing, part: &Bytes) -> Result<(), End> {
        let asked = Instant::now();
        loop {
            match outgoing.push(self.folder, part).await {
                Err(error) if space::is_full(&error) => tokio::select! {
                    () = space::pause() => {}
                    stop = self.stops.by_somebody() => return Err(End::Stopped(stop)),
                },
                Err(error) => return Err(End::Lost(format!("an output could not be kept on its way: {error}"))),
                Ok(()) => {
                    self.stops.give_back(asked.elapsed());
                    return Ok(());
                }
            }
        }
    }

    fn conclude(&self, end: End, state: &State, group: Option<&RunGroup>) -> Supervised {
        let mut found =
            Supervised { outcome: None, model_version: None, import: state.import, run: 0, usage: Usage::default() };
        found.outcome = match end {
            End::Stale => None,
            End::Reported(mut report) => {
                found.run = report.milliseconds;
                found.model_version = report.version.take();
                found.usage =
                    Usage { cpu_milliseconds: report.cpu_milliseconds, peak_memory_bytes: report.peak_memory_bytes };
                Some(if report.memory_error && self.memory_by_address_space {
                    self.out_of_memory()
                } else {
                    verdict::of_report(*report)
                })
            }
            End::Exited(exit) => {
                if let Exit::Status(_, usage) = exit {
                    found.usage = usage;
                }
                Some(verdict::of_exit(&exit))
            }
            End::Stopped(Stop::Cancelled) => Some(Outcome::Cancelled),
            End::Stopped(Stop::TimedOut) => Some(Outcome::TimedOut { seconds: self.order.limits.deadline_seconds }),
            End::Stopped(Stop::Closing) => Some(verdict::lost("the server was shut down during the run")),
            End::Unreported => Some(verdict::of_exit(&Exit::unreported())),
            End::Garbled(what) => Some(verdict::failed(&format!(
                "the model disturbed the connection over which its results are returned ({what})"
            ))),
            End::Lost(sentence) => Some(verdict::lost(&sentence)),
        };
        if let Some(group) = group {
            found.usage = group.usage(found.usage);
            // Also where the model went on without the process that was killed: what it returned can't be trusted.
            let by_somebody = matches!(found.outcome, None | Some(Outcome::Cancelled | Outcome::TimedOut { .. }));
            if group.ran_out_of_memory() && !by_somebody {
                found.outcome = Some(self.out_of_memory());
            }
        }
        if found.run == 0 && !matches!(found.outcome, Some(Outcome::Returned(_))) {
            let lived = state.begun.elapsed().saturating_sub(state.import);
            found.run = u64::try_from(lived.as_millis()).unwrap_or(u64::MAX);
        }
        found
    }

    fn out_of_memory(&self) -> Outcome {
        Outcome::OutOfMemory { limit_bytes: self.order.limits.memory_bytes }
    }
}

/// The reading end of the model's standard streams.
struct Log {
    pipe: Option<pipe::Receiver>,
    left: u64,
    cut: bool,
}

impl Log {
    /// The next piece; `None` at the end. May be dropped and asked again.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let pipe = self.pipe.as_mut()?;
            let mut chunk = BytesMut::with_capacity(LOG_CHUNK);
            match pipe.read_buf(&mut chunk).await {
                Ok(length) if length > 0 => {
                    if let Some(chunk) = self.measure(chunk) {
                        return Some(chunk);
                    }
                }
                _ => self.pipe = None,
            }
        }
    }

    /// What is in the pipe already, without waiting for more. Asks the kernel: the runtime may not have noticed yet.
    fn rest(&mut self) -> Vec<Bytes> {
        let mut found = vec![];
        while let Some(pipe) = &self.pipe {
            let mut chunk = BytesMut::zeroed(LOG_CHUNK);
            match nix::unistd::read(pipe, &mut chunk) {
                Ok(length) if length > 0 => {
                    chunk.truncate(length);
                    found.extend(self.measure(chunk));
                }
                Err(nix::errno::Errno::EINTR) => {}
                _ => self.pipe = None,
            }
        }
        found
    }

    fn measure(&mut self, mut chunk: BytesMut) -> Option<Bytes> {
        if self.cut {
            return None;
        }
        let length = chunk.len() as u64;
        if length <= self.left {
            self.left -= length;
            return Some(chunk.freeze());
        }
        self.cut = true;
        chunk.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        chunk.extend_from_slice(b"\n[The log is cut here: it is longer than a run may write.]\n");
        Some(chunk.freeze())
    }
}
