//! Thumbnails: who draws them when, and where they are seen.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use csw_app::Config;
use csw_core::{
    output::MediaType,
    ports::{DrawError, Illustrator, Subject},
};
use csw_web::WebOptions;
use serde_json::{Value, json};

use crate::{
    executor::{PICTURE, TABLE},
    rig::{OWNER, Rig, STRANGER},
    table::drawn,
};

/// Answers what it is told to, and remembers what it was asked.
#[derive(Default)]
struct Painter {
    asked: Mutex<Vec<(MediaType, Bytes)>>,
    mood: Mutex<Mood>,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Mood {
    #[default]
    Draws,
    GivesUp,
    Dreams,
}

#[async_trait]
impl Illustrator for Painter {
    async fn draw(&self, subject: &Subject) -> Result<Bytes, DrawError> {
        self.asked.lock().unwrap().push((subject.media_type, subject.bytes.clone()));
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Draws => Ok(Bytes::from_static(b"drawn")),
            Mood::GivesUp => Err(DrawError::GivenUp { why: "it is too hard".to_owned() }),
            Mood::Dreams => std::future::pending().await,
        }
    }
}

impl Painter {
    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    async fn until_asked(&self, times: usize) {
        for _ in 0..2_000 {
            if self.asked() >= times {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("asked {} times for {times}", self.asked());
    }
}

async fn rig(mood: Mood) -> (Rig, Arc<Painter>) {
    let painter = Arc::new(Painter { mood: Mutex::new(mood), ..Painter::default() });
    let config = Config { submissions_per_minute: 1_000, ..Config::default() };
    (Rig::drawn_by(Some(Arc::<Painter>::clone(&painter)), config, WebOptions::default()).await, painter)
}

/// What can be drawn of a simulation: its plot names no version of bokeh.
fn shown(simulation: &Value) -> Vec<Value> {
    let all = simulation["outputs"]["outputs"]["renderable"]["outputs"].as_array().cloned().unwrap_or_default();
    all.into_iter().filter(|output| output["media_type"] != "bokeh").collect()
}

fn all_drawn(simulation: &Value) -> bool {
    shown(simulation).iter().all(|output| output["screenshot"] == format!("{}.png", output["id"].as_str().unwrap()))
}

#[tokio::test]
async fn outputs_are_drawn_once() {
    let (rig, painter) = rig(Mood::Draws).await;
    let number = rig.simulation(json!({})).await;
    let outputs = shown(&rig.until(number, all_drawn).await);
    let asked = painter.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), outputs.len());
    assert!(asked.contains(&(MediaType::Table, Bytes::from_static(TABLE.as_bytes()))));
    assert!(asked.contains(&(MediaType::Png, Bytes::from_static(PICTURE))));
    for output in &outputs {
        let picture = rig.get(&format!("/storage/screenshots/{}", output["screenshot"].as_str().unwrap()), OWNER).await;
        assert_eq!(
            (picture.text().as_str(), &picture.headers["content-type"]),
            ("drawn", &"image/png".parse().unwrap())
        );
        let file = output["id"].as_str().unwrap();
        assert_eq!(rig.get(&format!("/storage/screenshots/{file}"), OWNER).await.status, 404, "a file has an ending");
    }
    // Another run whose outputs are the same bytes.
    let again = rig.simulation(json!({ "fresh": true })).await;
    rig.until(again, all_drawn).await;
    assert_eq!(painter.asked(), outputs.len());
}

#[tokio::test]
async fn what_is_given_up_is_tried_twice() {
    let (rig, painter) = rig(Mood::GivesUp).await;
    let number = rig.simulation(json!({})).await;
    let count = shown(&rig.until(number, |_| true).await).len();
    painter.until_asked(count).await;
    let rename = async |title: &str| {
        rig.hours_pass(1);
        // Anything that happens makes it look.
        rig.granted(200, "PUT", &format!("/owner/Model/api/v1/{number}/"), OWNER, json!({ "title": title })).await;
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    for attempt in 0..200 {
        rename(&format!("Attempt {attempt}")).await;
        if painter.asked() >= count * 2 {
            break;
        }
    }
    for more in 0..20 {
        rename(&format!("More {more}")).await;
    }
    assert_eq!(painter.asked(), count * 2);
    assert!(shown(&rig.until(number, |_| true).await).iter().all(|output| output["screenshot"].is_null()));
}

#[tokio::test]
async fn no_result_waits_for_its_picture() {
    let (rig, painter) = rig(Mood::Dreams).await;
    for year in [2026, 2027, 2028] {
        rig.simulation(json!({ "meta_parameters": { "year": year } })).await;
    }
    painter.until_asked(1).await;
    let page = rig.get("/owner/Model/1/", OWNER).await.text();
    assert!(page.contains("class=\"overview\"") && page.contains("data-output=") && page.contains("thumbnails.js"));
    assert_eq!(painter.asked(), 1, "one at a time");
}

#[tokio::test]
async fn other_sites_see_public_ones_only() {
    let rig = Rig::new().await;
    let number = rig.simulation(json!({})).await;
    let place = format!("/owner/Model/{number}/");
    let plain = rig.get(&place, OWNER).await.text();
    assert!(!plain.contains("class=\"overview\""), "a site that draws nothing is as it was");
    let file = format!("/storage/screenshots/{}", drawn(&rig, &number.to_string()).await);
    let page = rig.get(&place, OWNER).await.text();
    assert!(page.contains("og:title") && page.contains("property=\"og:site_name\" content=\"Compute Studio\""));
    assert!(page.contains(&format!("<img src=\"{file}\"")) && !page.contains("og:image"), "{page}");
    for (who, status) in [("", 403), (STRANGER, 403), (OWNER, 200)] {
        assert_eq!(rig.get(&file, who).await.status, status, "{who:?}");
    }
    rig.granted(200, "PUT", &format!("/owner/Model/api/v1/{number}/"), OWNER, json!({ "is_public": true })).await;
    let page = rig.get(&place, "").await.text();
    assert!(page.contains(&format!("<meta property=\"og:image\" content=\"http://127.0.0.1:8080{file}\">")), "{page}");
    assert!(page.contains(&format!("<meta property=\"og:url\" content=\"http://127.0.0.1:8080{place}\">")));
    assert_eq!(rig.get(&file, "").await.status, 200);
    for list in ["/owner/Model/", "/owner/"] {
        assert!(rig.get(list, "").await.text().contains(&file), "{list}");
    }
    // A public simulation of a private model is seen by those who may see the model.
    rig.granted(200, "PUT", "/publish/api/owner/Model/detail/", OWNER, json!({ "is_public": false })).await;
    assert_eq!(rig.get(&file, STRANGER).await.status, 404);
}

#[tokio::test]
async fn a_picture_that_is_lost_is_drawn_again() {
    let (rig, painter) = rig(Mood::Draws).await;
    let number = rig.simulation(json!({})).await;
    let outputs = shown(&rig.until(number, all_drawn).await);
    let before = painter.asked();
    let table = outputs.iter().find(|output| output["media_type"] == "table").unwrap();
    let key = csw_core::output::thumbnail_key(table["sha256"].as_str().unwrap(), MediaType::Table);
    rig.app.ports().objects.delete(&key).await.unwrap();
    let file = format!("/storage/screenshots/{}", table["screenshot"].as_str().unwrap());
    assert_eq!(rig.get(&file, OWNER).await.status, 404);
    painter.until_asked(before + 1).await;
    rig.until(number, all_drawn).await;
    assert_eq!(rig.get(&file, OWNER).await.status, 200);
    // It goes with the last simulation that has the output.
    rig.granted(204, "DELETE", &format!("/owner/Model/api/v1/{number}/"), OWNER, Value::Null).await;
    assert_eq!(rig.app.ports().objects.size(&key).await.unwrap(), None);
}
