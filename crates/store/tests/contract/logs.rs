//! Logs.

use bytes::Bytes;
use csw_core::{ports::Store, run::LogOf};

use crate::world::{id, now};

async fn text(store: &dyn Store, log: LogOf) -> String {
    String::from_utf8(store.read_log(log, 0, 1 << 30).await.unwrap().to_vec()).unwrap()
}

pub async fn offsets(store: &dyn Store) {
    let log = LogOf::Run(id!(RunId));
    assert_eq!(store.log_length(log).await.unwrap(), 0);
    assert!(store.read_log(log, 0, 10).await.unwrap().is_empty());
    for _ in 0..2 {
        store.append_log(log, 0, Bytes::from("hello "), now()).await.unwrap();
        store.append_log(log, 6, Bytes::from("world"), now()).await.unwrap();
    }
    store.append_log(log, 11, Bytes::new(), now()).await.unwrap();
    assert_eq!(text(store, log).await, "hello world");
    assert_eq!(store.log_length(log).await.unwrap(), 11);
    for (offset, limit, expected) in
        [(0, 3, "hel"), (4, 4, "o wo"), (6, 99, "world"), (11, 9, ""), (99, 9, ""), (3, 0, "")]
    {
        assert_eq!(store.read_log(log, offset, limit).await.unwrap(), expected, "{offset} {limit}");
    }
    assert!(store.read_log(LogOf::Run(id!(RunId)), 0, 9).await.unwrap().is_empty());
}

pub async fn overlaps(store: &dyn Store) {
    let log = LogOf::Run(id!(RunId));
    store.append_log(log, 0, Bytes::from("abc"), now()).await.unwrap();
    store.append_log(log, 0, Bytes::from("abcdef"), now()).await.unwrap();
    assert_eq!(text(store, log).await, "abcdef", "a longer repeat adds what is new");
    store.append_log(log, 4, Bytes::from("efgh"), now()).await.unwrap();
    store.append_log(log, 2, Bytes::from("cd"), now()).await.unwrap();
    assert_eq!(text(store, log).await, "abcdefgh");
    assert_eq!(store.log_length(log).await.unwrap(), 8);
}

pub async fn long_logs(store: &dyn Store) {
    let log = LogOf::Run(id!(RunId));
    let body: Vec<u8> = (0..10_000_000_u32).map(|n| b'a' + u8::try_from(n % 23).unwrap()).collect();
    let mut offset = 0;
    for part in body.chunks(3_333_333) {
        store.append_log(log, offset, Bytes::copy_from_slice(part), now()).await.unwrap();
        offset += part.len() as u64;
    }
    assert_eq!(store.log_length(log).await.unwrap(), 10_000_000);
    for (at, limit) in [(0, 10), (3_333_330, 10), (6_666_666, 100_000), (9_999_995, 100)] {
        let part = store.read_log(log, at, limit).await.unwrap();
        let (from, to) = (usize::try_from(at).unwrap(), usize::try_from((at + limit).min(10_000_000)).unwrap());
        assert!(part == body[from..to], "at {at}");
    }
}

pub async fn of_builds(store: &dyn Store) {
    let same = uuid::Uuid::now_v7();
    let (run, build) =
        (LogOf::Run(csw_core::ids::RunId::from_uuid(same)), LogOf::Build(csw_core::ids::BuildId::from_uuid(same)));
    store.append_log(run, 0, Bytes::from_static(b"run \xff\x00"), now()).await.unwrap();
    store.append_log(build, 0, Bytes::from("build"), now()).await.unwrap();
    assert_eq!(store.read_log(run, 0, 99).await.unwrap(), &b"run \xff\x00"[..]);
    assert_eq!(text(store, build).await, "build");
}
