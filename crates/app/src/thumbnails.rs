//! Thumbnails: a queue beside everything else. No result waits for its picture: outputs become wanted by being stored, a
//! change of any simulation wakes who draws, and drawing gives way to all other work of the machine.

use std::time::{Duration, Instant};

use bytes::Bytes;
use csw_core::{
    access::Caller,
    ids::{OutputId, SimulationId},
    output::{MediaType, Output, OutputKind, Thumbnail, bokeh},
    ports::{Change, DrawError, Illustrator, MAX_DRAWINGS, ObjectError, Subject, WantedThumbnail},
    simulation::{Simulation, SimulationStatus},
};
use futures::{StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::{
    App,
    error::{AppError, AppResult},
    measures,
    patience::Patience,
};

/// A drawing mostly takes no longer. Should a second one begin meanwhile, it makes the same picture.
const DRAWING: SignedDuration = SignedDuration::from_mins(3);

/// Before another attempt at what was given up: the machine may have been too busy.
const AGAIN: SignedDuration = SignedDuration::from_mins(2);

/// Before another attempt where nothing could be drawn at all.
const REST: SignedDuration = SignedDuration::from_mins(10);

/// How often a picture is begun that is given up each time.
const ATTEMPTS: u32 = 2;

/// Changes come in swarms, and one look serves them all.
const SWARM: Duration = Duration::from_millis(300);

/// Changes that one look may serve.
const SWARM_SIZE: usize = 4_096;

/// Bytes of what can only be drawn whole.
const LARGEST: u64 = 16 << 20;

/// Bytes of the beginning of anything else: a picture shows no more.
const BEGINNING: u64 = 256 << 10;

/// What a look for wanted thumbnails came to.
enum Look {
    /// There may be more.
    Drawn,
    /// Nothing is due before then, if ever.
    Idle(Option<Timestamp>),
}

impl App {
    /// Draws what is wanted, until the server ends.
    pub(crate) async fn draw_thumbnails(self, stop: CancellationToken) {
        let Some(illustrator) = self.inner.ports.illustrator.clone() else { return };
        let mut changes = self.store().changes().ready_chunks(SWARM_SIZE);
        let mut patience = Patience::new();
        while let Err(error) = self.release_thumbnails().await {
            tracing::warn!(%error, "thumbnails of a former process can't be taken over yet");
            patience.pause().await;
        }
        loop {
            let next = match self.draw_some(&*illustrator, &stop).await {
                Ok(Look::Drawn) if !stop.is_cancelled() => continue,
                Ok(Look::Drawn) => return,
                Ok(Look::Idle(next)) => next,
                Err(error) => {
                    tracing::warn!(%error, "wanted thumbnails can't be looked for now");
                    patience.pause().await;
                    continue;
                }
            };
            patience = Patience::new();
            let due = async {
                match next {
                    Some(at) => tokio::time::sleep(self.until(at)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = due => {}
                () = self.inner.thumbnails_wake.notified() => {}
                Some(()) = swarm(&mut changes) => tokio::time::sleep(SWARM).await,
            }
        }
    }

    /// What a former process had in hand need not wait until its time is over, unless another server may be at it.
    async fn release_thumbnails(&self) -> AppResult<()> {
        if self.store().look_for_peers().await? == 0 {
            self.store().release_thumbnails(self.now()).await?;
        }
        Ok(())
    }

    /// Draws as many as may be drawn at once.
    async fn draw_some(&self, illustrator: &dyn Illustrator, stop: &CancellationToken) -> AppResult<Look> {
        let at_once = self.inner.config.thumbnails_at_once.max(1);
        let (wanted, next) = self.store().wanted_thumbnails(self.now(), at_once).await?;
        if wanted.is_empty() {
            return Ok(Look::Idle(next));
        }
        let drawn =
            futures::future::join_all(wanted.iter().map(|wanted| self.draw_one(illustrator, wanted, stop))).await;
        drawn.into_iter().collect::<AppResult<()>>()?;
        Ok(Look::Drawn)
    }

    async fn draw_one(
        &self,
        illustrator: &dyn Illustrator,
        wanted: &WantedThumbnail,
        stop: &CancellationToken,
    ) -> AppResult<()> {
        let now = self.now();
        if !self.store().claim_thumbnail(wanted, now, now + DRAWING).await? {
            return Ok(());
        }
        let begun = Instant::now();
        let drawn = tokio::select! {
            drawn = self.picture_of(illustrator, &wanted.output) => drawn,
            () = stop.cancelled() => {
                self.store().give_back_thumbnail(wanted, wanted.attempts, now).await?;
                return Ok(());
            }
        };
        measures::thumbnail_ended(drawn.as_ref().err(), begun.elapsed());
        let output = wanted.output.id;
        match drawn {
            Ok(()) => self.store().set_thumbnail(&wanted.output, Thumbnail::Made).await?,
            Err(DrawError::Nothing { why }) => {
                tracing::debug!(%output, %why, "an output has no thumbnail");
                self.store().set_thumbnail(&wanted.output, Thumbnail::Nothing).await?;
            }
            Err(DrawError::GivenUp { why }) if wanted.attempts + 1 >= ATTEMPTS.min(MAX_DRAWINGS) => {
                tracing::info!(%output, %why, "an output has no thumbnail");
                self.store().set_thumbnail(&wanted.output, Thumbnail::Nothing).await?;
            }
            Err(DrawError::GivenUp { why }) => {
                tracing::debug!(%output, %why, "a thumbnail is tried once more");
                self.store().give_back_thumbnail(wanted, wanted.attempts + 1, self.now() + AGAIN).await?;
            }
            Err(DrawError::Unavailable { cause }) => {
                tracing::warn!(%output, %cause, "thumbnails can't be made now");
                // It is not this output's fault, so that the attempt does not count; the others need not be tried meanwhile.
                self.store().give_back_thumbnail(wanted, wanted.attempts, self.now() + REST).await?;
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(REST.unsigned_abs()) => {}
                }
            }
        }
        Ok(())
    }

    /// Makes and stores the picture of an output, unless an equal one has it.
    async fn picture_of(&self, illustrator: &dyn Illustrator, output: &Output) -> Result<(), DrawError> {
        let objects = &self.inner.ports.objects;
        let key = output.thumbnail_key();
        if objects.size(&key).await.map_err(|error| storage(&error))?.is_some() {
            return Ok(());
        }
        let subject = self.subject(output).await?;
        let picture = illustrator.draw(&subject).await?;
        objects.put(&key, picture).await.map_err(|error| storage(&error))
    }

    /// What an illustrator needs of an output: of a long one, the beginning.
    async fn subject(&self, output: &Output) -> Result<Subject, DrawError> {
        let media_type = output.media_type;
        let whole = match media_type {
            MediaType::Bokeh | MediaType::Png | MediaType::Jpeg => true,
            MediaType::Table | MediaType::Csv | MediaType::Markdown | MediaType::Text => false,
            MediaType::Mp3 | MediaType::Mp4 | MediaType::Hdf5 | MediaType::Pdf => {
                return Err(nothing(format!("a file of type {} has no look", media_type.as_str())));
            }
        };
        if whole && output.size > LARGEST {
            return Err(nothing(format!("it has {} bytes, and more than {LARGEST} are not drawn", output.size)));
        }
        let part = (!whole && output.size > BEGINNING).then_some(0..BEGINNING);
        let bytes = self.bytes_at(&output.object_key(), part).await?;
        let scripts = if media_type == MediaType::Bokeh { self.bokeh_scripts(&bytes).await? } else { Vec::new() };
        Ok(Subject { media_type, bytes, scripts })
    }

    async fn bokeh_scripts(&self, document: &[u8]) -> Result<Vec<Bytes>, DrawError> {
        let document: Value =
            serde_json::from_slice(document).map_err(|error| nothing(format!("it is no bokeh document: {error}")))?;
        let version = bokeh::version_of(&document).ok_or_else(|| nothing("it names no version of bokeh".to_owned()))?;
        let mut scripts = Vec::new();
        for file in bokeh::SCRIPTS {
            match self.bytes_at(&bokeh::script_key(version, file), None).await {
                Ok(script) => scripts.push(script),
                Err(DrawError::Nothing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(scripts)
    }

    async fn bytes_at(&self, key: &str, part: Option<std::ops::Range<u64>>) -> Result<Bytes, DrawError> {
        let bytes = async {
            let mut stream = self.inner.ports.objects.get(key, part).await?;
            let mut all = Vec::new();
            while let Some(part) = stream.try_next().await? {
                all.extend_from_slice(&part);
            }
            Ok(Bytes::from(all))
        };
        bytes.await.map_err(|error: ObjectError| storage(&error))
    }

    /// Whether outputs of this site get thumbnails.
    pub fn has_thumbnails(&self) -> bool {
        self.inner.config.thumbnails_elsewhere || self.inner.ports.illustrator.is_some()
    }

    /// The thumbnail of an output, for whoever may see the output.
    pub async fn thumbnail(&self, caller: &Caller, id: OutputId) -> AppResult<Bytes> {
        let missing = || AppError::missing("the thumbnail");
        let found = self.store().output_anywhere(id, caller.account()).await?;
        let (output, simulation) = found.ok_or_else(missing)?;
        let model = self.store().model(simulation.model).await?.ok_or_else(missing)?;
        self.check_reader(caller, &simulation, &model).await?;
        if output.thumbnail != Thumbnail::Made {
            return Err(missing());
        }
        match self.bytes_at(&output.thumbnail_key(), None).await {
            Ok(bytes) => Ok(bytes),
            Err(DrawError::Nothing { .. }) => {
                // A backup holds none: it is made again.
                self.store().set_thumbnail(&output, Thumbnail::Wanted).await?;
                self.inner.thumbnails_wake.notify_one();
                Err(missing())
            }
            Err(error) => Err(AppError::Unavailable { sentence: format!("The thumbnail can't be read now: {error}.") }),
        }
    }

    /// The output whose thumbnail shows each of these simulations best.
    pub async fn best_thumbnails(&self, simulations: &[Simulation]) -> AppResult<Vec<(SimulationId, OutputId)>> {
        let with_outputs = simulations.iter().filter(|simulation| simulation.status == SimulationStatus::Success);
        let ids: Vec<_> = with_outputs.map(|simulation| simulation.id).collect();
        Ok(self.store().best_thumbnails(&ids).await?)
    }
}

/// Whether an output may still get a thumbnail.
pub fn is_awaited(output: &Output) -> bool {
    output.kind == OutputKind::Renderable && output.thumbnail == Thumbnail::Wanted
}

/// Waits until a simulation may have changed; nothing where nobody will ever tell.
async fn swarm(changes: &mut (impl futures::Stream<Item = Vec<Change>> + Unpin)) -> Option<()> {
    loop {
        let told = changes.next().await?;
        if told.iter().any(|change| matches!(change, Change::Simulation(_) | Change::Missed)) {
            return Some(());
        }
    }
}

fn nothing(why: String) -> DrawError {
    DrawError::Nothing { why }
}

fn storage(error: &ObjectError) -> DrawError {
    match error {
        ObjectError::NotFound { key } => nothing(format!("there is no object {key}")),
        ObjectError::Unavailable { .. } => DrawError::Unavailable { cause: error.to_string() },
    }
}
