//! What the load asks for, and what each must become.

use anyhow::{Context, ensure};
use csw_client::{Client, Detail, NewSimulation, RemoteOutputs};
use csw_tests::Result;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::dice::Dice;

/// A model with one small output.
pub const NULL: &str = "contract/Null";
/// A model that does what it is told.
pub const EDGES: &str = "contract/Edge-Cases";

/// A request with a known end. Texts make it differ from all others, so that no earlier run answers it.
#[derive(Debug, Clone)]
pub enum Wish {
    /// One small output.
    Number(u64),
    /// One that others ask for too, so that runs are shared and remembered.
    Common(u64),
    /// A run of so many tenths of a second.
    Slow(u64, String),
    /// The same, writing a line now and then.
    Ticking(u64, String),
    /// Megabytes that go through a file, different each time.
    Large(u64, String),
    /// So many outputs.
    Many(u64, String),
    /// All types of outputs, in both lists.
    Types(String),
    /// So many lines of log.
    Lines(u64, String),
    /// A run that somebody stops.
    Stopped(String),
    /// Inputs that the model refuses.
    Refused(String),
    /// A run that fails with this text.
    Failing(String),
}

impl Wish {
    /// Any of them; `mark` is different each time.
    pub fn any(dice: &mut Dice, mark: &str) -> Self {
        let mark = mark.to_owned();
        match dice.below(20) {
            0..=6 => Self::Number(1_000 + dice.below(900_000_000)),
            7 | 8 => Self::Common(dice.below(12)),
            9..=11 => Self::Slow(1 + dice.below(8), mark),
            12 => Self::Large(1 + dice.below(3), mark),
            13 => Self::Many(5 + dice.below(40), mark),
            14 => Self::Types(mark),
            15 | 16 => Self::Lines(50 + dice.below(2_000), mark),
            17 => Self::Stopped(mark),
            18 => Self::Refused(mark),
            _ => Self::Failing(mark),
        }
    }

    /// One of the quickest.
    pub fn quick(dice: &mut Dice, _: &str) -> Self {
        if dice.below(4) == 0 { Self::Common(dice.below(12)) } else { Self::Number(1_000 + dice.below(900_000_000)) }
    }

    /// Of which model it is asked.
    pub fn model(&self) -> &'static str {
        if matches!(self, Self::Number(_) | Self::Common(_)) { NULL } else { EDGES }
    }

    /// Whether somebody stops it.
    pub fn is_stopped(&self) -> bool {
        matches!(self, Self::Stopped(_))
    }

    /// The request, under this key.
    pub fn request(&self, key: &str) -> NewSimulation {
        let adjustment = match self {
            Self::Number(number) | Self::Common(number) => json!({ "Null": { "number": vo(number) } }),
            Self::Slow(tenths, mark) => run("sleeps", mark, &json!({ "seconds": vo(seconds(*tenths)) })),
            Self::Ticking(tenths, mark) => run("prints-slowly", mark, &json!({ "seconds": vo(seconds(*tenths)) })),
            Self::Stopped(mark) => run("sleeps", mark, &json!({ "seconds": vo(600.0) })),
            Self::Large(megabytes, mark) => run("big-bytes", mark, &json!({ "megabytes": vo(megabytes) })),
            Self::Many(count, mark) => run("many-outputs", mark, &json!({ "count": vo(count) })),
            Self::Types(mark) => run("all-media-types", mark, &json!({})),
            Self::Lines(count, mark) => run("prints", mark, &json!({ "count": vo(count) })),
            Self::Refused(mark) => run("quiet", mark, &json!({ "check": vo("error") })),
            Self::Failing(mark) => run("raises", mark, &json!({})),
        };
        NewSimulation { adjustment, idempotency_key: Some(key.to_owned()), ..NewSimulation::default() }
    }

    /// Whether a simulation that is over became what it must.
    pub async fn check(&self, client: &Client, done: &Detail<RemoteOutputs>) -> Result {
        let (model, pk) = (self.model(), done.model_pk);
        let inputs = client.inputs(model, pk).await?;
        let ended = || {
            let (sim, validation) = (&done.traceback, &inputs.traceback);
            format!("{} {:?} {sim:?}, inputs {} {validation:?}", done.status, done.reason, inputs.status)
        };
        match self {
            Self::Refused(_) => {
                ensure!(inputs.status == "INVALID", "{}", ended());
                let said = &inputs.errors_warnings["Run"]["errors"]["text"][0];
                ensure!(said.as_str().is_some_and(|text| text.contains("is refused")), "{said}");
                return Ok(());
            }
            Self::Stopped(_) => {
                let text = done.traceback.as_ref().or(inputs.traceback.as_ref());
                ensure!(text.is_some_and(|text| text.contains("was cancelled")), "{}", ended());
                return Ok(());
            }
            Self::Failing(mark) => {
                ensure!(done.status == "FAIL", "{}", ended());
                ensure!(done.traceback.as_ref().is_some_and(|text| text.contains(mark)), "{}", ended());
                return Ok(());
            }
            _ => ensure!(done.status == "SUCCESS" && inputs.status == "SUCCESS", "{}", ended()),
        }
        let sent = self.request("").adjustment;
        ensure!(inputs.adjustment == sent, "its inputs are {}, not {sent}", inputs.adjustment);
        self.check_outputs(client, done).await?;
        self.check_log(client, pk).await
    }

    async fn check_outputs(&self, client: &Client, done: &Detail<RemoteOutputs>) -> Result {
        let (model, pk) = (self.model(), done.model_pk);
        let outputs = client.simulation(model, pk).await?.outputs.context("it has no outputs")?;
        let texts: Vec<&Value> = outputs.renderable.iter().map(|output| &output.data).collect();
        match self {
            Self::Number(number) | Self::Common(number) => only(&texts, &format!("{number}\n"))?,
            Self::Slow(tenths, _) => only(&texts, &format!("slept {:?} s\n", seconds(*tenths)))?,
            Self::Lines(..) => only(&texts, "printed\n")?,
            Self::Ticking(..) => {
                let ticks = texts[0].as_str().is_some_and(|text| text.ends_with(" ticks\n"));
                ensure!(texts.len() == 1 && ticks, "its outputs are {texts:?}");
            }
            Self::Many(count, _) => {
                let expected: Vec<Value> = (0..*count).map(|number| json!(format!("{number}\n"))).collect();
                ensure!(texts == expected.iter().collect::<Vec<_>>(), "its outputs are {texts:?}");
            }
            Self::Types(mark) => {
                let both = (outputs.renderable.len(), outputs.downloadable.len());
                ensure!(both == (11, 11), "it has {both:?} outputs");
                ensure!(texts[1].as_str().is_some_and(|table| table.contains(mark)), "its table is {}", texts[1]);
            }
            Self::Large(megabytes, _) => ensure!(outputs.downloadable.len() == 1, "no output of {megabytes} MB"),
            Self::Stopped(_) | Self::Refused(_) | Self::Failing(_) => {}
        }
        let references = done.outputs.as_ref().context("it has no references")?;
        for output in references.outputs.iter() {
            let id = output.id.clone().context("an output has no identifier")?;
            let file = std::env::temp_dir().join(format!("csw-test-{pk}-{id}"));
            let size = client.save_output(model, pk, &id, &file).await;
            let bytes = std::fs::read(&file)?;
            std::fs::remove_file(&file)?;
            ensure!(output.more["size"] == size?, "{}: its size is wrong", output.title);
            ensure!(output.more["sha256"] == hex::encode(Sha256::digest(&bytes)), "{}: other bytes", output.title);
        }
        if let Self::Large(megabytes, _) = self {
            let size = references.outputs.iter().map(|output| output.more["size"].as_u64().unwrap_or(0)).sum::<u64>();
            ensure!(size == megabytes << 20, "it has {size} bytes");
        }
        Ok(())
    }

    /// The log of an attempt that was lost may stand before the one of the last.
    async fn check_log(&self, client: &Client, pk: u32) -> Result {
        let log = client.log(self.model(), pk, 0).await?;
        let log = String::from_utf8_lossy(&log);
        if let Self::Lines(count, _) = self {
            for stream in ["stdout", "stderr"] {
                let first = format!("{stream} line 0\n");
                let last = log.rfind(&first).with_context(|| format!("no {first:?} in the log"))?;
                let found: Vec<&str> = log[last..].lines().filter(|line| line.starts_with(stream)).collect();
                let expected: Vec<String> = (0..*count).map(|number| format!("{stream} line {number}")).collect();
                ensure!(found == expected, "{} of {count} lines of {stream} in the log", found.len());
            }
        }
        Ok(())
    }
}

fn vo(value: impl serde::Serialize) -> Value {
    json!([{ "value": value }])
}

#[allow(clippy::cast_precision_loss, reason = "a few tenths")]
fn seconds(tenths: u64) -> f64 {
    tenths as f64 / 10.0
}

fn run(case: &str, mark: &str, more: &Value) -> Value {
    let mut section = more.clone();
    section["case"] = vo(case);
    section["text"] = vo(mark);
    json!({ "Run": section })
}

fn only(found: &[&Value], text: &str) -> Result {
    ensure!(found == [&json!(text)], "its outputs are {found:?}, not {text:?}");
    Ok(())
}
