//! The disk is full, and then it is not.

use std::{fs, path::Path, time::Duration};

use anyhow::ensure;
use csw_client::{Client, ClientError};
use csw_tests::{Ground, Result, Server, SmallDisk};
use sha2::{Digest, Sha256};

use super::{
    dice::Dice,
    kills::CROWD,
    knob,
    load::Load,
    wishes::{EDGES, NULL, Wish},
};

/// Seconds that a disk stays full.
const FULL: u64 = 5;

/// Keeps a disk full: what the server removes is taken at once.
async fn stay_full(disk: &SmallDisk, seconds: u64) -> Result {
    for _ in 0..seconds * 20 {
        disk.fill()?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Reads everything of simulations that are over.
async fn reads_work(client: &Client, known: &[(Wish, u32)]) -> Result {
    for (wish, pk) in known {
        let done = client.wait(wish.model(), *pk).await?;
        wish.check(client, &done).await?;
    }
    for path in ["/", "/contract/Null/", "/contract/Edge-Cases/", "/readyz", "/api/v1/sims"] {
        let (status, text) = client.probe(path).await?;
        ensure!(status == 200, "{path} answered {status}: {text}");
    }
    client.schema(EDGES, &serde_json::json!({})).await?;
    Ok(())
}

/// Asks until the server says that it can't take more.
async fn is_refused_with_a_reason(client: &Client, disk: &SmallDisk) -> Result {
    for number in 0..400_u64 {
        disk.fill()?;
        let wish = Wish::Number(number);
        match client.create(NULL, &wish.request(&format!("full {number}"))).await {
            Ok(_) => {}
            Err(ClientError::Refused { status: 503 | 507, sentence, retry_after: Some(_), .. }) => {
                ensure!(sentence.contains("full"), "the reason is: {sentence}");
                return Ok(());
            }
            Err(other) => return Err(other.into()),
        }
    }
    anyhow::bail!("the server took everything")
}

/// Every object is whole, and nothing half-written is beside it.
fn objects_are_whole(folder: &Path) -> Result {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            objects_are_whole(&path)?;
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let hash = hex::encode(Sha256::digest(fs::read(&path)?));
        ensure!(name.ends_with(&hash), "{} has other bytes", path.display());
    }
    Ok(())
}

async fn known(client: &Client) -> Result<Vec<(Wish, u32)>> {
    let mut known = Vec::new();
    for wish in [Wish::Number(7), Wish::Large(1, "known".to_owned()), Wish::Lines(20, "known".to_owned())] {
        let pk = client.create(wish.model(), &wish.request(&format!("{wish:?}"))).await?.sim.model_pk;
        client.wait(wish.model(), pk).await?;
        known.push((wish, pk));
    }
    Ok(known)
}

#[tokio::test]
async fn a_full_data_folder_costs_nothing_but_time() -> Result {
    if !SmallDisk::is_possible() {
        return Ok(());
    }
    let ground = Ground { settings: Some(CROWD), ..Ground::default() };
    let (server, disk) = Server::with_models_on_small_disk(256 << 20, ground)?;
    let client = server.client(Some(&server.publisher()?))?;
    let early = server.client(Some(&server.account("early", "admin")?))?;
    let mut dice = Dice::seeded("a full data folder");
    let known = known(&early).await?;
    // Somebody whose token was never used, which is noted.
    let guest = server.client(Some(&server.account("guest", "admin")?))?;
    let load = Load::new(Wish::any);
    let people = load.begin(&client, &mut dice);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    disk.fill()?;
    is_refused_with_a_reason(&early, &disk).await?;
    reads_work(&guest, &known).await?;
    stay_full(&disk, knob("CSW_TEST_OUTAGE", FULL)).await?;
    disk.clear()?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    load.finish();
    people.join_all().await;
    load.settle("a full data folder", &server, &client).await?;
    objects_are_whole(&server.data().join("objects"))
}

#[tokio::test]
async fn a_full_scratch_folder_costs_nothing_but_time() -> Result {
    if !SmallDisk::is_possible() {
        return Ok(());
    }
    let mut server = Server::with_models_on(Ground { settings: Some(CROWD), ..Ground::default() })?;
    server.stop()?;
    let disk = SmallDisk::over(&server.data().join("scratch"), 160 << 20)?;
    server.start()?;
    let client = server.client(Some(&server.publisher()?))?;
    let early = server.client(Some(&server.account("early", "admin")?))?;
    let mut dice = Dice::seeded("a full scratch folder");
    let known = known(&early).await?;
    let load = Load::new(Wish::any);
    let people = load.begin(&client, &mut dice);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    disk.fill()?;
    reads_work(&early, &known).await?;
    let taken = early.create(NULL, &Wish::Number(1).request("while full")).await?.sim.model_pk;
    stay_full(&disk, knob("CSW_TEST_OUTAGE", FULL)).await?;
    disk.clear()?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    load.finish();
    people.join_all().await;
    assert_eq!(early.wait(NULL, taken).await?.status, "SUCCESS");
    load.settle("a full scratch folder", &server, &client).await?;
    objects_are_whole(&server.data().join("objects"))
}
