//! The contract of object storage, on a folder.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use csw_core::ports::{ObjectError, ObjectStorage};
use csw_store::FolderObjects;
use futures::{StreamExt, TryStreamExt};

async fn all(objects: &FolderObjects, key: &str, range: Option<std::ops::Range<u64>>) -> Vec<u8> {
    let parts: Vec<Bytes> = objects.get(key, range).await.unwrap().try_collect().await.unwrap();
    parts.concat()
}

#[tokio::test]
async fn objects_are_put_read_in_ranges_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let objects = FolderObjects::open(&folder.path().join("objects")).unwrap();
    let key = "outputs/ab/abcd";
    assert_eq!(objects.size(key).await.unwrap(), None);
    assert!(matches!(objects.get(key, None).await, Err(ObjectError::NotFound { .. })));
    for _ in 0..2 {
        objects.put(key, Bytes::from("0123456789")).await.unwrap();
    }
    assert_eq!(objects.size(key).await.unwrap(), Some(10));
    for (range, expected) in [(None, "0123456789"), (Some(0..4), "0123"), (Some(3..99), "3456789"), (Some(5..5), "")] {
        assert_eq!(all(&objects, key, range).await, expected.as_bytes());
    }
    objects.delete(key).await.unwrap();
    objects.delete(key).await.unwrap();
    assert_eq!(objects.size(key).await.unwrap(), None);
    for outside in ["../x", "a/../../x", "/etc/passwd", ""] {
        assert!(objects.put(outside, Bytes::new()).await.is_err(), "{outside}");
    }
}

#[tokio::test]
async fn a_file_is_moved_and_read_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let objects = FolderObjects::open(&folder.path().join("objects")).unwrap();
    let file = folder.path().join("result");
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    std::fs::write(&file, &body).unwrap();
    objects.put_file("outputs/cd/cdef", &file).await.unwrap();
    assert!(!file.exists(), "on one file system nothing is copied");
    assert!(all(&objects, "outputs/cd/cdef", None).await == body);
    let mut parts = objects.get("outputs/cd/cdef", None).await.unwrap();
    while let Some(part) = parts.next().await {
        assert!(part.unwrap().len() < 1_500_000, "no more than a part is in memory");
    }
    std::fs::write(&file, &body).unwrap();
    objects.put_file("outputs/cd/cdef", &file).await.expect("a repeat is no error");
    let missing = objects.put_file("outputs/ef/efgh", &folder.path().join("none")).await;
    assert!(missing.is_err());
    let left: Vec<_> = std::fs::read_dir(folder.path().join("objects/outputs/cd")).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing half-written is left");
}

#[tokio::test]
async fn what_was_half_written_goes_with_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("objects");
    let objects = FolderObjects::open(&root).unwrap();
    let incoming = root.join(".incoming");
    objects.put("outputs/ab/abcd", Bytes::from("whole")).await.unwrap();
    assert_eq!(std::fs::read_dir(&incoming).unwrap().count(), 0);
    std::fs::write(incoming.join("half"), "ha").unwrap();
    assert!(objects.get(".incoming/half", None).await.is_err(), "it is never served");
    let objects = FolderObjects::open(&root).unwrap();
    assert_eq!(std::fs::read_dir(&incoming).unwrap().count(), 0);
    assert_eq!(all(&objects, "outputs/ab/abcd", None).await, b"whole");
}
