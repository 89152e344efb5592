//! People who use a site while things go wrong, and remember what it promised them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use csw_client::{Client, ClientError, Detail, RemoteOutputs};
use csw_tests::{Result, Server};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    dice::Dice,
    wishes::{EDGES, NULL, Wish},
};

/// People who ask at once.
const PEOPLE: usize = 4;

/// Simulations of one person that are not over.
const OPEN: usize = 4;

/// However much was asked for, a simulation that is not over by then is stuck.
const STUCK: Duration = Duration::from_mins(3);

/// A request, and what came of it.
#[derive(Debug, Clone)]
struct Promise {
    wish: Wish,
    key: String,
    /// Its number, once the server has answered.
    pk: Option<u32>,
    /// Whether the server has answered that it is being stopped.
    stopped: bool,
    /// What a person saw when it was over.
    seen: Option<Value>,
}

/// All requests, and everything that was wrong.
pub struct Load {
    taste: Taste,
    promises: Mutex<Vec<Promise>>,
    wrong: Mutex<Vec<String>>,
    put_off: AtomicUsize,
    enough: AtomicBool,
}

/// What people ask for; the text is different each time.
pub type Taste = fn(&mut Dice, &str) -> Wish;

/// Why a person stops.
enum Away {
    /// The server is gone.
    Gone,
    /// Something that must not happen.
    Wrong(String),
}

/// Whether a person goes on.
type Asked = std::result::Result<(), Away>;

impl From<ClientError> for Away {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Unreachable { .. } => Self::Gone,
            other => Self::Wrong(other.to_string()),
        }
    }
}

/// Locks; whoever failed meanwhile has told so.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Load {
    /// People with this taste.
    pub fn new(taste: Taste) -> Arc<Self> {
        let (promises, wrong) = (Mutex::default(), Mutex::default());
        Arc::new(Self { taste, promises, wrong, put_off: AtomicUsize::new(0), enough: AtomicBool::new(false) })
    }

    /// Lets people ask until the server is gone or [`Load::finish`] was called; they come back when this is called again.
    pub fn begin(self: &Arc<Self>, client: &Client, dice: &mut Dice) -> JoinSet<()> {
        self.enough.store(false, Ordering::Relaxed);
        let mut people = JoinSet::new();
        for _ in 0..PEOPLE {
            let (load, client, mut dice) = (Arc::clone(self), client.clone(), dice.branch());
            people.spawn(async move {
                if let Err(Away::Wrong(sentence)) = load.ask_on(&client, &mut dice).await {
                    load.complain(sentence);
                }
            });
        }
        people
    }

    /// Tells people to stop asking.
    pub fn finish(&self) {
        self.enough.store(true, Ordering::Relaxed);
    }

    fn complain(&self, sentence: String) {
        lock(&self.wrong).push(sentence);
    }

    async fn ask_on(&self, client: &Client, dice: &mut Dice) -> Asked {
        let mut open = VecDeque::new();
        while !self.enough.load(Ordering::Relaxed) {
            let mark = format!("{:016x}", dice.below(u64::MAX));
            let wish = (self.taste)(dice, &mark);
            let number = {
                let mut promises = lock(&self.promises);
                promises.push(Promise { wish: wish.clone(), key: mark, pk: None, stopped: false, seen: None });
                promises.len() - 1
            };
            self.ask(client, number).await?;
            if wish.is_stopped() {
                tokio::time::sleep(Duration::from_millis(dice.below(600))).await;
                self.stop(client, number).await?;
            }
            open.push_back(number);
            if open.len() >= OPEN
                && let Some(oldest) = open.pop_front()
            {
                self.look(client, oldest).await?;
            }
        }
        Ok(())
    }

    fn promise(&self, number: usize) -> Promise {
        lock(&self.promises)[number].clone()
    }

    fn keep(&self, number: usize, change: impl FnOnce(&mut Promise)) {
        change(&mut lock(&self.promises)[number]);
    }

    /// Sends a request, as often as the server says that it can't take it now.
    async fn ask(&self, client: &Client, number: usize) -> Asked {
        let Promise { wish, key, pk, .. } = self.promise(number);
        loop {
            match client.create(wish.model(), &wish.request(&key)).await {
                Ok(inputs) => {
                    let now = inputs.sim.model_pk;
                    if pk.is_some_and(|earlier| earlier != now) {
                        return Err(Away::Wrong(format!("the key of #{pk:?} gave #{now} when it was used again")));
                    }
                    self.keep(number, |promise| promise.pk = Some(now));
                    return Ok(());
                }
                Err(error) => self.put_off(error).await?,
            }
        }
    }

    /// Waits where the server says why it can't do this now, and when to come back.
    async fn put_off(&self, error: ClientError) -> Asked {
        let ClientError::Refused { status: 503 | 507 | 429, sentence, retry_after, .. } = &error else {
            return Err(error.into());
        };
        if sentence.len() < 20 || retry_after.is_none() {
            return Err(Away::Wrong(format!("no reason, or no time to come back: {error} ({retry_after:?})")));
        }
        self.put_off.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(500)).await;
        Ok(())
    }

    async fn stop(&self, client: &Client, number: usize) -> Asked {
        let Promise { wish, pk, .. } = self.promise(number);
        let Some(pk) = pk else { return Ok(()) };
        loop {
            match client.cancel(wish.model(), pk).await {
                Ok(()) => {
                    self.keep(number, |promise| promise.stopped = true);
                    return Ok(());
                }
                // It is over, perhaps by a request to stop it whose answer was lost.
                Err(error) if error.status() == Some(409) => return Ok(()),
                Err(error) => self.put_off(error).await?,
            }
        }
    }

    /// Waits for the end of a simulation, and remembers how it looks.
    async fn look(&self, client: &Client, number: usize) -> Asked {
        let Promise { wish, pk, .. } = self.promise(number);
        let Some(pk) = pk else { return Ok(()) };
        loop {
            match client.wait(wish.model(), pk).await {
                Ok(done) => {
                    self.keep(number, |promise| promise.seen = Some(looks(&done)));
                    return Ok(());
                }
                Err(error) => self.put_off(error).await?,
            }
        }
    }

    /// Sends again what was not answered, and a few requests that were.
    pub async fn repeat(&self, client: &Client, dice: &mut Dice) -> Result {
        let promises = lock(&self.promises).clone();
        let count = promises.len() as u64;
        let some: BTreeSet<u64> = (0..4.min(count)).map(|_| dice.below(count)).collect();
        for (number, promise) in promises.iter().enumerate() {
            let mut done = Ok(());
            if promise.pk.is_none() || some.contains(&(number as u64)) {
                done = self.ask(client, number).await;
            }
            if promise.wish.is_stopped() && !promise.stopped && done.is_ok() {
                done = self.stop(client, number).await;
            }
            match done {
                Ok(()) => {}
                Err(Away::Wrong(sentence)) => self.complain(sentence),
                Err(Away::Gone) => bail!("the server is gone"),
            }
        }
        Ok(())
    }

    /// Waits until everything is over, compares it with what was promised, and prints the sums after `title`.
    pub async fn settle(&self, title: &str, server: &Server, client: &Client) -> Result {
        let promises = lock(&self.promises).clone();
        let checks = promises.iter().map(|promise| async move {
            let checked = tokio::time::timeout(STUCK, self.check(client, promise)).await;
            let error = match checked {
                Ok(Ok(())) => return,
                Ok(Err(error)) => format!("{error:#}"),
                Err(_) => format!("is stuck: {}", standing(client, promise).await),
            };
            self.complain(format!("{}#{:?} {:?}: {error}", promise.wish.model(), promise.pk, promise.wish));
        });
        stream::iter(checks).buffer_unordered(8).collect::<Vec<()>>().await;
        if let Err(error) = self.check_site(server, client, &promises).await {
            self.complain(format!("{error:#}"));
        }
        let again = server.query("SELECT COUNT(*) AS runs FROM runs WHERE message LIKE '%restarted%'")?;
        let attempts = server.query("SELECT COUNT(*) AS runs FROM runs WHERE attempt > 1")?;
        let seen = promises.iter().filter(|promise| promise.seen.is_some()).count();
        eprintln!(
            "{title}: {} simulations, {seen} of them seen to their end before the last fault, {} runs given back by a \
             restart, {} runs of several attempts, {} requests put off",
            promises.len(),
            again[0]["runs"],
            attempts[0]["runs"],
            self.put_off.load(Ordering::Relaxed),
        );
        let wrong = lock(&self.wrong);
        ensure!(wrong.is_empty(), "{} things are wrong:\n{}", wrong.len(), wrong.join("\n"));
        ensure!(promises.len() > 10, "the load made {} simulations only", promises.len());
        Ok(())
    }

    async fn check(&self, client: &Client, promise: &Promise) -> Result {
        let pk = promise.pk.context("was never answered")?;
        let model = promise.wish.model();
        let done = client.wait(model, pk).await?;
        if let Some(seen) = &promise.seen {
            let now = looks(&done);
            ensure!(now == *seen, "was seen as {seen} and is now {now}");
        }
        promise.wish.check(client, &done).await
    }

    /// What is true of the whole site once everything is over.
    async fn check_site(&self, server: &Server, client: &Client, promises: &[Promise]) -> Result {
        let mut numbers = BTreeMap::<&str, BTreeSet<u32>>::new();
        for promise in promises {
            let fresh = promise.pk.is_some_and(|pk| numbers.entry(promise.wish.model()).or_default().insert(pk));
            ensure!(fresh, "{:?} of {} was given twice", promise.pk, promise.wish.model());
        }
        for model in [NULL, EDGES] {
            let asked = numbers.get(model).map_or(0, BTreeSet::len);
            let query = csw_client::SimulationQuery { model: Some(model.to_owned()), ..Default::default() };
            let there = client.simulations(&query).await?.count;
            ensure!(there == asked as u64, "{model} has {there} simulations, and {asked} were asked for");
        }
        for (what, query) in [
            ("a run that is not over", "SELECT id, task, state, message FROM runs WHERE state <> 'finished'"),
            ("a simulation that is not over", "SELECT number FROM simulations WHERE status = 'PENDING'"),
            (
                "two runs for one simulation",
                "SELECT simulation_id, task FROM runs GROUP BY simulation_id, task HAVING COUNT(*) > 1",
            ),
            (
                "a result without outputs",
                "SELECT number FROM simulations s WHERE s.status = 'SUCCESS' AND NOT EXISTS \
                 (SELECT 1 FROM run_outputs o WHERE o.run_id = COALESCE(s.answered_by, s.run_id))",
            ),
        ] {
            let found = server.query(query)?;
            ensure!(found.is_empty(), "{what}: {}", json!(found));
        }
        Ok(())
    }
}

/// What must never change once it was seen.
fn looks(done: &Detail<RemoteOutputs>) -> Value {
    json!([
        done.status,
        done.reason,
        done.traceback,
        done.run_time,
        done.model_version,
        done.outputs,
        done.more["phases"]
    ])
}

/// How a simulation stands that should be over.
async fn standing(client: &Client, promise: &Promise) -> String {
    let (model, pk) = (promise.wish.model(), promise.pk.unwrap_or_default());
    let state = async || -> Result<String> {
        let (sim, inputs) = (client.remote(model, pk).await?, client.inputs(model, pk).await?);
        Ok(format!("{} {:?}, inputs {}", sim.status, sim.reason, inputs.status))
    };
    state().await.unwrap_or_else(|error| error.to_string())
}
