//! A folder.

use bytes::Bytes;
use csw_core::ports::ObjectStorage;
use csw_store::FolderObjects;
use futures::StreamExt;

use crate::suite::{self, all};

#[tokio::test]
async fn a_folder_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    suite::run(&FolderObjects::open(&folder.path().join("objects")).unwrap()).await;
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
