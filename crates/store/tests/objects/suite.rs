//! What every adapter keeps.

use std::time::Duration;

use bytes::Bytes;
use csw_core::ports::{DownloadHeaders, ObjectError, ObjectStorage};
use csw_store::{BucketConfig, BucketObjects};
use futures::TryStreamExt;
use jiff::{SignedDuration, Timestamp};

const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// The bytes of an object, or of a range of it.
pub(crate) async fn all(objects: &dyn ObjectStorage, key: &str, range: Option<std::ops::Range<u64>>) -> Vec<u8> {
    let parts: Vec<Bytes> = objects.get(key, range).await.unwrap().try_collect().await.unwrap();
    parts.concat()
}

async fn put_before(objects: &dyn ObjectStorage, prefix: &str, time: Timestamp) -> Vec<String> {
    let mut keys: Vec<String> = objects.put_before(prefix, time).await.unwrap().try_collect().await.unwrap();
    keys.sort();
    keys
}

/// Bytes that differ wherever one looks.
fn body(length: u32) -> Vec<u8> {
    (0..length).map(|n| u8::try_from((n ^ (n >> 8) ^ (n >> 16)) % 251).unwrap()).collect()
}

pub(crate) async fn run(objects: &dyn ObjectStorage) {
    bytes_come_back_whole_and_in_ranges(objects).await;
    large_files_come_back(objects).await;
    old_ones_are_listed_and_go(objects).await;
    no_key_leads_out(objects).await;
}

async fn bytes_come_back_whole_and_in_ranges(objects: &dyn ObjectStorage) {
    let key = "outputs/ab/abcd";
    assert_eq!(objects.size(key).await.unwrap(), None);
    assert!(matches!(objects.get(key, None).await, Err(ObjectError::NotFound { .. })));
    assert!(matches!(objects.get(key, Some(0..4)).await, Err(ObjectError::NotFound { .. })));
    for _ in 0..2 {
        objects.put(key, Bytes::from("0123456789")).await.unwrap();
    }
    assert_eq!(objects.size(key).await.unwrap(), Some(10));
    let ranges =
        [(None, "0123456789"), (Some(0..4), "0123"), (Some(3..99), "3456789"), (Some(5..5), ""), (Some(10..12), "")];
    for (range, expected) in ranges {
        assert_eq!(all(objects, key, range.clone()).await, expected.as_bytes(), "{range:?}");
    }
    objects.put("outputs/em/empty", Bytes::new()).await.unwrap();
    assert_eq!(objects.size("outputs/em/empty").await.unwrap(), Some(0));
    assert_eq!(all(objects, "outputs/em/empty", None).await, b"");
    objects.put("bokeh/3.4.1/bokeh.min.js", Bytes::from("x")).await.unwrap();
    assert_eq!(all(objects, "bokeh/3.4.1/bokeh.min.js", None).await, b"x");
    for key in [key, key, "outputs/em/empty", "bokeh/3.4.1/bokeh.min.js"] {
        objects.delete(key).await.unwrap();
    }
    assert_eq!(objects.size(key).await.unwrap(), None);
}

async fn large_files_come_back(objects: &dyn ObjectStorage) {
    let folder = tempfile::tempdir().unwrap();
    let (file, key) = (folder.path().join("result"), "outputs/cd/cdef");
    // Three parts, the last of which is short.
    let body = body(18 << 20);
    for _ in 0..2 {
        std::fs::write(&file, &body).unwrap();
        objects.put_file(key, &file).await.unwrap();
        assert_eq!(objects.size(key).await.unwrap(), Some(body.len() as u64));
    }
    assert!(all(objects, key, None).await == body, "large bytes come back");
    let (from, until) = ((8 << 20) - 5, (8 << 20) + 5);
    assert_eq!(all(objects, key, Some(from..until)).await, body[(8 << 20) - 5..(8 << 20) + 5]);
    std::fs::write(&file, b"small").unwrap();
    objects.put_file("outputs/cd/small", &file).await.unwrap();
    assert_eq!(all(objects, "outputs/cd/small", None).await, b"small");
    assert!(objects.put_file("outputs/ef/efgh", &folder.path().join("none")).await.is_err());
    assert_eq!(objects.size("outputs/ef/efgh").await.unwrap(), None);
    objects.delete(key).await.unwrap();
    objects.delete("outputs/cd/small").await.unwrap();
}

async fn old_ones_are_listed_and_go(objects: &dyn ObjectStorage) {
    for key in ["outputs/11/one", "outputs/22/two", "assets/33/three"] {
        objects.put(key, Bytes::from("x")).await.unwrap();
    }
    let now = Timestamp::now();
    assert_eq!(put_before(objects, "outputs", now + HOUR).await, ["outputs/11/one", "outputs/22/two"]);
    assert!(put_before(objects, "outputs", now - HOUR).await.is_empty());
    assert!(put_before(objects, "none", now + HOUR).await.is_empty());
    assert!(!objects.delete_put_before("outputs/11/one", now - HOUR).await.unwrap(), "it was put since");
    assert_eq!(objects.size("outputs/11/one").await.unwrap(), Some(1));
    assert!(objects.delete_put_before("outputs/11/one", now + HOUR).await.unwrap());
    assert!(!objects.delete_put_before("outputs/11/one", now + HOUR).await.unwrap(), "it is gone");
    assert_eq!(put_before(objects, "outputs", now + HOUR).await, ["outputs/22/two"]);
    objects.delete("outputs/22/two").await.unwrap();
    objects.delete("assets/33/three").await.unwrap();
}

async fn no_key_leads_out(objects: &dyn ObjectStorage) {
    for outside in ["../x", "a/../../x", "/etc/passwd", "", "a//b", ".hidden/a"] {
        assert!(objects.put(outside, Bytes::new()).await.is_err(), "{outside}");
        assert!(objects.get(outside, None).await.is_err(), "{outside}");
    }
}

/// What buckets keep apart from that.
pub(crate) async fn run_bucket(config: &BucketConfig) {
    // reqwest takes the provider that its process has.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = BucketConfig { fresh: Duration::ZERO, ..config.clone() };
    for prefix in ["", "sites/one"] {
        prefix.clone_into(&mut config.prefix);
        run(&BucketObjects::open(config.clone()).unwrap()).await;
    }
    a_repeat_counts_as_new_unless_it_was_just_put(&config).await;
    strangers_read_nothing_but_what_is_signed(&config).await;
}

async fn a_repeat_counts_as_new_unless_it_was_just_put(config: &BucketConfig) {
    let key = "outputs/99/again";
    let eager = BucketObjects::open(config.clone()).unwrap();
    let lazy = BucketObjects::open(BucketConfig { fresh: Duration::from_hours(1), ..config.clone() }).unwrap();
    eager.put(key, Bytes::from("x")).await.unwrap();
    // Storages tell times in seconds.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let between = Timestamp::now();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    lazy.put(key, Bytes::from("x")).await.unwrap();
    assert_eq!(put_before(&lazy, "outputs", between).await, [key], "nothing was sent");
    eager.put(key, Bytes::from("x")).await.unwrap();
    assert!(put_before(&lazy, "outputs", between).await.is_empty(), "whoever removes old ones has to know");
    eager.delete(key).await.unwrap();
}

async fn strangers_read_nothing_but_what_is_signed(config: &BucketConfig) {
    let (key, objects) = ("outputs/ab/page", BucketObjects::open(config.clone()).unwrap());
    objects.put(key, Bytes::from("<script>alert(1)</script>")).await.unwrap();
    assert!(!objects.is_public(key).await.unwrap(), "the bucket is private");
    let headers = DownloadHeaders {
        content_type: "application/octet-stream".to_owned(),
        content_disposition: "attachment; filename=\"a b.html\"; filename*=UTF-8''a%20b.html".to_owned(),
    };
    let signed = objects.signed_download(key, &headers, Duration::from_mins(5)).await.unwrap().unwrap();
    let answer = reqwest::get(&signed).await.unwrap();
    assert_eq!(answer.status(), 200, "{signed}");
    let header = |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header("content-type").as_deref(), Some("application/octet-stream"));
    assert_eq!(header("content-disposition").as_ref(), Some(&headers.content_disposition));
    assert_eq!(answer.text().await.unwrap(), "<script>alert(1)</script>");
    for forged in [signed.replace("octet", "xhtml"), signed.replace("page", "other"), {
        signed.split('?').next().unwrap().to_owned()
    }] {
        let answer = reqwest::get(&forged).await.unwrap();
        assert!(matches!(answer.status().as_u16(), 400 | 401 | 403), "{}: {forged}", answer.status());
    }
    objects.delete(key).await.unwrap();
}

/// Credentials that are wrong are told as such, without showing them.
pub(crate) async fn refuses(config: BucketConfig, secret: &str) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let said =
        BucketObjects::open(config).unwrap().put("outputs/ab/abcd", Bytes::from("x")).await.unwrap_err().to_string();
    assert!(said.contains("the credentials are refused"), "{said}");
    assert!(!said.contains(secret), "{said}");
}
