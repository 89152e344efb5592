//! The outputs processor, on its own and between Jobs and their server.

use std::{
    collections::HashMap,
    net::SocketAddr,
    ops::Range,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use csw_core::{
    ids::{Lease, RunId},
    ports::{DownloadHeaders, Hold, ObjectError, ObjectStorage, RunHolds, StoreResult},
    run::{Outcome, RunOrder, TaskResult},
};
use csw_kubernetes::{
    RunKey,
    outputs::{OutputsProcessor, router},
};
use futures::stream::BoxStream;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::rig::{Rig, order, until};

/// Object storage in memory that can be out of order, and a queue that says what it is told.
#[derive(Default)]
struct Parts {
    objects: Mutex<HashMap<String, Bytes>>,
    broken: std::sync::atomic::AtomicBool,
    holds: Mutex<HashMap<RunId, Lease>>,
}

impl Parts {
    fn hold_by(&self, order: &RunOrder) {
        self.holds.lock().unwrap().insert(order.run, order.lease);
    }

    fn sizes(&self) -> Vec<usize> {
        let mut sizes: Vec<usize> = self.objects.lock().unwrap().values().map(Bytes::len).collect();
        sizes.sort_unstable();
        sizes
    }
}

#[async_trait]
impl RunHolds for Parts {
    async fn hold(&self, id: RunId) -> StoreResult<Hold> {
        Ok(self.holds.lock().unwrap().get(&id).map_or(Hold::Unknown, |lease| Hold::Lease(*lease)))
    }
}

#[async_trait]
impl ObjectStorage for Parts {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        if self.broken.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(ObjectError::Unavailable { key: key.to_owned(), cause: "a test".to_owned() });
        }
        self.objects.lock().unwrap().insert(key.to_owned(), bytes);
        Ok(())
    }

    async fn put_file(&self, key: &str, file: &Path) -> Result<(), ObjectError> {
        self.put(key, std::fs::read(file).unwrap().into()).await
    }

    async fn size(&self, _: &str) -> Result<Option<u64>, ObjectError> {
        unreachable!()
    }

    async fn get(
        &self,
        _: &str,
        _: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes, ObjectError>>, ObjectError> {
        unreachable!()
    }

    async fn put_before(
        &self,
        _: &str,
        _: Timestamp,
    ) -> Result<BoxStream<'static, Result<String, ObjectError>>, ObjectError> {
        unreachable!()
    }

    async fn delete(&self, _: &str) -> Result<(), ObjectError> {
        unreachable!()
    }

    async fn delete_put_before(&self, _: &str, _: Timestamp) -> Result<bool, ObjectError> {
        unreachable!()
    }

    fn is_shared(&self) -> bool {
        true
    }

    async fn signed_download(&self, _: &str, _: &DownloadHeaders, _: Duration) -> Result<Option<String>, ObjectError> {
        Ok(None)
    }
}

/// A rig whose Jobs send outputs to a processor.
struct Processed {
    rig: Rig,
    parts: Arc<Parts>,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Processed {
    async fn start() -> Self {
        let mut rig = Rig::new().await;
        let parts = Arc::new(Parts::default());
        let address = csw_testing::free_address().unwrap();
        let listener = TcpListener::bind(address).await.unwrap();
        rig.config.outputs_url = Some(format!("http://{address}"));
        let serving = serve(&rig, &parts, listener);
        rig.start().await;
        Self { rig, parts, address, serving }
    }

    async fn restart(&mut self) {
        self.serving.abort();
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        self.serving = serve(&self.rig, &self.parts, listener);
    }
}

fn serve(rig: &Rig, parts: &Arc<Parts>, listener: TcpListener) -> JoinHandle<()> {
    let processor = OutputsProcessor {
        key: RunKey::new(&[7; 32]).unwrap(),
        objects: Arc::clone(parts) as _,
        runs: Arc::clone(parts) as _,
        folder: rig.folder.path().join("partial"),
        server: rig.config.callback_url.clone(),
    };
    let router = router(processor).unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() })
}

const LARGE: u64 = 6_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn outputs_go_past_the_server_which_believes_receipts() {
    let processed = Processed::start().await;
    let rig = &processed.rig;
    let order = order(json!({ "outputs": 2, "size": LARGE }));
    processed.parts.hold_by(&order);
    let recorder = rig.run(&order).await;
    assert_eq!(recorder.end().await.outcome, Outcome::Returned(TaskResult::Sim { outputs: 2 }));
    assert_eq!(recorder.outputs(), [LARGE, LARGE]);
    assert_eq!(processed.parts.sizes(), [6_000_000, 6_000_000]);
    assert_eq!(std::fs::read_dir(rig.folder.path().join("uploads")).unwrap().count(), 0, "none came to the server");
    assert_eq!(std::fs::read_dir(rig.folder.path().join("partial")).unwrap().count(), 0, "and none is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_of_what_is_no_run_of_the_queue_go_to_the_server() {
    let processed = Processed::start().await;
    let recorder = processed.rig.run(&order(json!({ "outputs": 1, "size": 5000 }))).await;
    recorder.end().await;
    assert_eq!(recorder.outputs(), [5000]);
    assert!(processed.parts.sizes().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_out_of_order_and_a_processor_that_ends_lose_nothing() {
    let mut processed = Processed::start().await;
    let order = order(json!({ "outputs": 2, "size": 5000, "say": ["begun"] }));
    processed.parts.hold_by(&order);
    processed.parts.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    let recorder = processed.rig.run(&order).await;
    processed.rig.until_logged(&recorder, "begun").await;
    processed.restart().await;
    // The server ends as well: receipts are with the Job.
    processed.parts.broken.store(false, std::sync::atomic::Ordering::SeqCst);
    until("an output", || !processed.parts.sizes().is_empty()).await;
    assert_eq!(recorder.end().await.outcome, Outcome::Returned(TaskResult::Sim { outputs: 2 }));
    assert_eq!((recorder.outputs(), recorder.ends()), (vec![5000, 5000], 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_counts_no_more_stores_nothing() {
    let processed = Processed::start().await;
    let former = order(json!({ "outputs": 1, "size": 5000 }));
    let mut next = former.clone();
    next.lease = uuid::Uuid::now_v7().to_string().parse().unwrap();
    processed.parts.hold_by(&next);
    let recorder = processed.rig.run(&former).await;
    // Its Job ends without a word, and whoever asks is told so.
    let Outcome::Lost { .. } = recorder.end().await.outcome else { panic!() };
    assert!(processed.parts.sizes().is_empty());
}

fn head(size: usize, sha256: &str) -> String {
    hex::encode(
        json!({
            "id": uuid::Uuid::now_v7(), "kind": "renderable", "position": 0, "title": "A", "media_type": "Text",
            "size": size, "sha256": sha256,
        })
        .to_string(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_output_goes_on_where_it_stopped() {
    use sha2::{Digest, Sha256};
    let mut processed = Processed::start().await;
    let waiting = order(json!({ "say": ["begun"], "wait": processed.rig.gate() }));
    processed.parts.hold_by(&waiting);
    let recorder = processed.rig.run(&waiting).await;
    processed.rig.until_logged(&recorder, "begun").await;
    let token = processed.rig.token();
    let bytes: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let head = head(bytes.len(), &hex::encode(Sha256::digest(&bytes)));
    let url = format!("http://{}/write/", processed.address);
    // Who is refused before all was read has to come again by another connection.
    let client = reqwest::Client::builder().pool_max_idle_per_host(0).build().unwrap();
    let ask = async |method: reqwest::Method, query: &str, token: &str, body: Vec<u8>| {
        let request = client.request(method, format!("{url}{query}")).bearer_auth(token).header("csw-output", &head);
        let answer = request.body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap_or_default())
    };
    let (get, put) = (reqwest::Method::GET, reqwest::Method::PUT);
    assert_eq!(ask(get.clone(), "", &token, vec![]).await, (200, json!({ "received": 0 })));
    assert_eq!(ask(put.clone(), "", &token, bytes[..1_500_000].to_vec()).await.0, 503, "there has to be more");
    processed.restart().await;
    assert_eq!(ask(get.clone(), "", &token, vec![]).await.1["received"], 1_500_000);
    assert_eq!(ask(put.clone(), "?offset=1600000", &token, bytes[1_600_000..1_600_100].to_vec()).await.0, 503, "a gap");
    let (status, answer) = ask(put.clone(), "?offset=1500000", &token, bytes[1_500_000..].to_vec()).await;
    assert_eq!(status, 200);
    assert_eq!(answer["receipt"].as_str().unwrap().len(), 64);
    assert_eq!(processed.parts.sizes(), [bytes.len()]);
    // Other bytes than those that were promised, too many of them, nobody's, and somebody else's.
    let mut damaged = bytes.clone();
    damaged[7] ^= 1;
    assert_eq!(ask(put.clone(), "", &token, damaged).await.0, 503);
    assert_eq!(ask(get.clone(), "", &token, vec![]).await.1["received"], 0, "it begins again");
    assert_eq!(ask(put.clone(), "", &token, [bytes.clone(), vec![0]].concat()).await.0, 400);
    for stranger in ["", "nonsense", &token[..token.len() - 1]] {
        assert_eq!(ask(put.clone(), "", stranger, vec![1]).await.0, 401);
        assert_eq!(ask(get.clone(), "", stranger, vec![]).await.0, 401);
    }
    let push = client.post(url.replace("/write/", "/push/")).bearer_auth("nonsense").body("{}").send().await.unwrap();
    assert_eq!(push.status(), 401);
    processed.rig.open_gate();
    recorder.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_is_no_path() {
    let processed = Processed::start().await;
    let waiting = order(json!({ "say": ["begun"], "wait": processed.rig.gate() }));
    processed.parts.hold_by(&waiting);
    let recorder = processed.rig.run(&waiting).await;
    processed.rig.until_logged(&recorder, "begun").await;
    let token = processed.rig.token();
    for hash in ["../../../etc/passwd", "", &"Z".repeat(64)] {
        let request = reqwest::Client::new().put(format!("http://{}/write/", processed.address)).bearer_auth(&token);
        let answer = request.header("csw-output", head(1, hash)).body("x").send().await.unwrap();
        assert_eq!(answer.status(), 400, "{hash}");
    }
    processed.rig.open_gate();
    recorder.end().await;
}
