//! Following what happens: simulations and builds, as streams that end with the thing they follow.

use bytes::Bytes;
use csw_core::{
    access::Caller,
    build::Build,
    ids::{BuildId, RunId, SimulationId},
    names::ModelName,
    ports::Change,
    run::{LogOf, Reason},
    simulation::{InputsStatus, SimulationStatus},
};
use futures::{Stream, StreamExt, stream::BoxStream};

use crate::{
    App,
    error::{AppError, AppResult},
    simulations::SimulationView,
};

/// Bytes of a log in one event.
const LOG_PART: u64 = 64 * 1024;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Progress {
    /// The state of a simulation.
    Simulation {
        /// Of its inputs.
        inputs: InputsStatus,
        /// Its own.
        status: SimulationStatus,
        /// How it ended.
        reason: Option<Reason>,
        /// Runs ahead of it in the queue, while it waits.
        ahead: Option<u64>,
        /// Seconds until its expected end.
        eta_seconds: f64,
        /// Seconds expected at its submission.
        original_seconds: f64,
    },
    /// The state of a build.
    Build(Box<Build>),
    /// More of the log.
    Log {
        /// Where this part begins.
        offset: u64,
        /// The part.
        text: Bytes,
    },
}

impl App {
    /// Follows a simulation: its state now and at each change, and its log from `offset`, until its end, or until the
    /// caller may not see it any more.
    pub fn follow(
        &self,
        caller: &Caller,
        view: &SimulationView,
        offset: u64,
    ) -> impl Stream<Item = AppResult<Progress>> + Send + use<> {
        let app = self.clone();
        let id = view.simulation.id;
        let watched = Watched { caller: caller.clone(), model: view.model.name(), number: view.simulation.number };
        let changes = self.store().changes();
        let state = Following { app, changes, offset, queue: Vec::new(), last: None, run: None, over: false };
        futures::stream::unfold((state, watched), move |(mut following, watched)| async move {
            loop {
                if let Some(next) = following.queue.pop() {
                    return Some((Ok(next), (following, watched)));
                }
                if following.over {
                    return None;
                }
                if following.last.is_some() && !following.wait_for_simulation(id).await {
                    return None;
                }
                if let Err(error) = following.look_at_simulation(&watched).await {
                    following.over = true;
                    return Some((Err(error), (following, watched)));
                }
            }
        })
    }

    /// Follows a build: its state now and at each change, and its log from `offset`, until its end.
    pub fn follow_build(&self, id: BuildId, offset: u64) -> impl Stream<Item = AppResult<Progress>> + Send + use<> {
        let changes = self.store().changes();
        let state =
            Following { app: self.clone(), changes, offset, queue: Vec::new(), last: None, run: None, over: false };
        futures::stream::unfold(state, move |mut following| async move {
            loop {
                if let Some(next) = following.queue.pop() {
                    return Some((Ok(next), following));
                }
                if following.over {
                    return None;
                }
                if following.last.is_some() && !following.wait_for_build(id).await {
                    return None;
                }
                if let Err(error) = following.look_at_build(id).await {
                    following.over = true;
                    return Some((Err(error), following));
                }
            }
        })
    }
}

/// A simulation, and who looks at it.
struct Watched {
    caller: Caller,
    model: ModelName,
    number: u32,
}

struct Following {
    app: App,
    changes: BoxStream<'static, Change>,
    offset: u64,
    /// Events to be told, the next one last.
    queue: Vec<Progress>,
    last: Option<Progress>,
    /// The run whose log is read.
    run: Option<RunId>,
    over: bool,
}

impl Following {
    async fn wait_for_simulation(&mut self, id: SimulationId) -> bool {
        loop {
            match self.changes.next().await {
                Some(Change::Missed) => return true,
                Some(Change::Simulation(changed)) if changed == id => return true,
                Some(Change::Log(LogOf::Run(run))) if self.run == Some(run) => return true,
                Some(Change::Queue) if matches!(self.last, Some(Progress::Simulation { ahead: Some(_), .. })) => {
                    return true;
                }
                Some(_) => {}
                None => return false,
            }
        }
    }

    async fn wait_for_build(&mut self, id: BuildId) -> bool {
        loop {
            match self.changes.next().await {
                Some(Change::Missed) => return true,
                Some(Change::Build(changed)) if changed == id => return true,
                Some(Change::Log(LogOf::Build(changed))) if changed == id => return true,
                Some(_) => {}
                None => return false,
            }
        }
    }

    async fn look_at_simulation(&mut self, watched: &Watched) -> AppResult<()> {
        let Watched { caller, model, number } = watched;
        let (owner, title) = (model.owner.as_str(), model.title.as_str());
        let SimulationView { simulation, inputs, .. } = match self.app.simulation(caller, owner, title, *number).await {
            Err(AppError::NotFound { .. } | AppError::LoginRequired | AppError::Forbidden { .. }) => {
                self.over = true;
                return Ok(());
            }
            seen => seen?,
        };
        let store = self.app.store();
        let waiting = simulation.run.or(inputs.run).filter(|_| !simulation.status.is_final());
        let ahead = match waiting {
            Some(run) => store.queue_position(run).await?.map(|(_, ahead)| ahead),
            None => None,
        };
        let eta = self.app.eta(&simulation);
        let state = Progress::Simulation {
            inputs: inputs.status,
            status: simulation.status,
            reason: simulation.reason,
            ahead,
            eta_seconds: eta.seconds,
            original_seconds: eta.original_seconds,
        };
        let stopped = matches!(inputs.status, InputsStatus::Invalid | InputsStatus::Fail | InputsStatus::WorkerFailure);
        self.over = simulation.status.is_final() || stopped || inputs.status == InputsStatus::Started;
        self.run = simulation.answered_by.or(simulation.run);
        if let Some(run) = self.run {
            self.read_log(LogOf::Run(run)).await?;
        }
        self.tell(state);
        Ok(())
    }

    async fn look_at_build(&mut self, id: BuildId) -> AppResult<()> {
        let Some(build) = self.app.store().build(id).await? else {
            self.over = true;
            return Ok(());
        };
        self.over = build.state.is_final();
        self.read_log(LogOf::Build(id)).await?;
        self.tell(Progress::Build(Box::new(build)));
        Ok(())
    }

    /// Puts the state after the log parts that were read, so that an end is told last.
    fn tell(&mut self, state: Progress) {
        if self.last.as_ref() != Some(&state) || self.over {
            self.queue.insert(0, state.clone());
        }
        self.last = Some(state);
    }

    async fn read_log(&mut self, log: LogOf) -> AppResult<()> {
        loop {
            let text = self.app.store().read_log(log, self.offset, LOG_PART).await?;
            if text.is_empty() {
                return Ok(());
            }
            let offset = self.offset;
            self.offset += text.len() as u64;
            self.queue.insert(0, Progress::Log { offset, text });
        }
    }
}
