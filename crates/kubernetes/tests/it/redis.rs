//! Arguments in a real Redis, and what its users may do.

use ::redis::{Client, Cmd, ErrorKind, RedisError, ServerErrorKind, cmd};
use csw_core::run::{Outcome, TaskResult};
use csw_kubernetes::redis::{Passwords, Redis, RedisAddress, acl_file, set_up};
use csw_kubernetes_testing::{Fate, Redis as Server};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::rig::{Rig, order, until};

const ADMIN: &str = "the admin's password";
const SCHEDULER: &str = "the scheduler's password";
const EXECUTOR: &str = "the executor's password";

fn passwords() -> Passwords {
    Passwords::new(ADMIN, SCHEDULER, Some(EXECUTOR)).unwrap()
}

/// A rig whose Jobs find their arguments in a Redis.
async fn with_redis() -> (Rig, Server) {
    let mut rig = Rig::new().await;
    rig.config.image_patience = std::time::Duration::from_secs(10);
    let server = Server::start(&rig.folder.path().join("redis")).unwrap();
    let address = RedisAddress::new(&server.url(), None).unwrap();
    set_up(&address, &passwords()).await.unwrap();
    rig.config.redis = Some(Redis::new(address, &passwords()).unwrap());
    rig.start().await;
    (rig, server)
}

/// What a user gets for a command.
async fn ask(server: &Server, user: &str, password: &str, command: &[&str]) -> Result<::redis::Value, RedisError> {
    let encoded = password.replace(' ', "%20").replace('\'', "%27");
    let url = server.url().replace("://", &format!("://{user}:{encoded}@"));
    let client = Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await?;
    let mut asked: Cmd = cmd(command[0]);
    asked.arg(&command[1..]);
    asked.query_async(&mut connection).await
}

fn is_refused(answer: &Result<::redis::Value, RedisError>) -> bool {
    answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm))
}

async fn may(server: &Server, user: &str, password: &str, command: &[&str]) {
    let answer = ask(server, user, password, command).await;
    assert!(answer.is_ok(), "{user} {command:?}: {answer:?}");
}

async fn may_not(server: &Server, user: &str, password: &str, command: &[&str]) {
    let answer = ask(server, user, password, command).await;
    assert!(is_refused(&answer), "{user} {command:?}: {answer:?}");
}

/// Commands that nobody but the admin needs.
const FORBIDDEN: [&[&str]; 12] = [
    &["KEYS", "*"],
    &["SCAN", "0"],
    &["CONFIG", "GET", "*"],
    &["ACL", "LIST"],
    &["ACL", "SETUSER", "me", "on", "nopass", "+@all", "~*"],
    &["FLUSHALL"],
    &["EVAL", "return 1", "0"],
    &["SHUTDOWN", "NOSAVE"],
    &["CLIENT", "LIST"],
    &["INFO"],
    &["MONITOR"],
    &["SUBSCRIBE", "anything"],
];

#[tokio::test(flavor = "multi_thread")]
async fn users_may_do_what_they_need_and_nothing_else() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).unwrap();
    let address = RedisAddress::new(&server.url(), None).unwrap();
    assert!(!set_up(&address, &passwords()).await.unwrap(), "without a file it knows them until it ends");
    // Again, as whoever it made.
    set_up(&address, &passwords()).await.unwrap();
    may(&server, "admin", ADMIN, &["ACL", "LIST"]).await;
    for command in [&["SET", "job-1", "x"][..], &["GET", "job-1"], &["SET", "projects", "{}"], &["GET", "projects"]] {
        may(&server, "scheduler", SCHEDULER, command).await;
    }
    may(&server, "executor", EXECUTOR, &["GET", "job-1"]).await;
    may(&server, "scheduler", SCHEDULER, &["DEL", "job-1"]).await;
    for command in [&["SET", "jobs", "x"][..], &["GET", "session-1"], &["DEL", "other"]] {
        may_not(&server, "scheduler", SCHEDULER, command).await;
    }
    for command in [&["SET", "job-1", "x"][..], &["DEL", "job-1"], &["GET", "projects"]] {
        may_not(&server, "executor", EXECUTOR, command).await;
    }
    for command in FORBIDDEN {
        may_not(&server, "scheduler", SCHEDULER, command).await;
        may_not(&server, "executor", EXECUTOR, command).await;
    }
    for (user, password) in [("default", ""), ("admin", "wrong"), ("scheduler", ADMIN), ("nobody", ADMIN)] {
        let answer = ask(&server, user, password, &["GET", "job-1"]).await;
        assert!(answer.is_err(), "{user}: {answer:?}");
    }
    // Who has no password any more is gone.
    let fewer = Passwords::new(ADMIN, SCHEDULER, None).unwrap();
    set_up(&address, &fewer).await.unwrap();
    assert!(ask(&server, "executor", EXECUTOR, &["GET", "job-1"]).await.is_err());
    // A stranger's Redis stays a stranger's.
    let others = Passwords::new("another's password", "another's password", None).unwrap();
    let error = set_up(&address, &others).await.unwrap_err().to_string();
    assert!(error.contains("lets neither `admin` in"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_users_is_what_redis_reads() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("users.acl"), acl_file(&passwords())).unwrap();
    let server = Server::start_with(folder.path(), &["--aclfile", "users.acl"]).unwrap();
    may(&server, "scheduler", SCHEDULER, &["SET", "job-1", "x"]).await;
    may(&server, "executor", EXECUTOR, &["GET", "job-1"]).await;
    may_not(&server, "executor", EXECUTOR, &["ACL", "LIST"]).await;
    let address = RedisAddress::new(&server.url(), None).unwrap();
    assert!(set_up(&address, &passwords()).await.unwrap(), "it keeps them");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_reads_its_own_arguments_and_no_others() {
    let (rig, server) = with_redis().await;
    let waiting = order(json!({ "say": ["begun"], "wait": rig.gate(), "outputs": 1 }));
    let recorder = rig.run(&waiting).await;
    rig.until_logged(&recorder, "begun").await;
    let key = format!("job-{}-{}", waiting.run, waiting.lease);
    let user = format!("run-{}", waiting.lease);
    let password = hex::encode(Sha256::digest(format!("redis {}", rig.token())));
    may(&server, &user, &password, &["GET", &key]).await;
    ask(&server, "scheduler", SCHEDULER, &["SET", "job-of-another", "x"]).await.unwrap();
    for command in [&["GET", "job-of-another"][..], &["SET", &key, "x"], &["DEL", &key], &["GET", "projects"]] {
        may_not(&server, &user, &password, command).await;
    }
    for command in FORBIDDEN {
        may_not(&server, &user, &password, command).await;
    }
    let lifetime = ask(&server, "admin", ADMIN, &["TTL", &key]).await.unwrap();
    assert!(matches!(lifetime, ::redis::Value::Int(1..)), "{lifetime:?}");
    let hits = format!("{:?}", ask(&server, "admin", ADMIN, &["INFO", "stats"]).await.unwrap());
    assert!(!hits.contains("keyspace_hits:0"), "the Job has read them: {hits}");
    rig.open_gate();
    assert_eq!(recorder.end().await.outcome, Outcome::Returned(TaskResult::Sim { outputs: 1 }));
    while ask(&server, "admin", ADMIN, &["EXISTS", &key]).await.unwrap() != ::redis::Value::Int(0) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    while ask(&server, &user, &password, &["GET", &key]).await.is_ok() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_has_lost_is_asked_of_the_server() {
    let (rig, mut server) = with_redis().await;
    // It comes back with nothing, not even its users.
    server.kill();
    server.begin().unwrap();
    let restarted = rig.outcome(&order(json!({ "end": "failed" }))).await;
    assert_eq!(restarted, Outcome::Failed { traceback: "it broke".to_owned() });
    server.kill();
    let away = rig.outcome(&order(json!({ "end": "failed" }))).await;
    assert_eq!(away, Outcome::Failed { traceback: "it broke".to_owned() });
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_that_redis_lost_after_the_job_was_made_are_asked_of_the_server() {
    let (rig, server) = with_redis().await;
    rig.cluster.fates([Fate::NoImageFor(1000)]);
    let waiting = order(json!({ "end": "failed" }));
    let recorder = rig.run(&waiting).await;
    rig.only_job().await;
    ask(&server, "admin", ADMIN, &["FLUSHALL"]).await.unwrap();
    ask(&server, "admin", ADMIN, &["ACL", "DELUSER", &format!("run-{}", waiting.lease)]).await.unwrap();
    assert_eq!(recorder.end().await.outcome, Outcome::Failed { traceback: "it broke".to_owned() });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_to_redis_is_encrypted_and_its_certificate_checked() {
    let mut rig = Rig::new().await;
    let server = Server::start_with_tls(&rig.folder.path().join("redis")).unwrap();
    let stranger = RedisAddress::new(&server.url(), None).unwrap();
    let error = set_up(&stranger, &passwords()).await.unwrap_err().to_string();
    assert!(error.to_lowercase().contains("certificate"), "{error}");
    let address = RedisAddress::new(&server.url(), Some(server.certificate().unwrap())).unwrap();
    assert!(!address.is_clear());
    set_up(&address, &passwords()).await.unwrap();
    rig.config.redis = Some(Redis::new(address, &passwords()).unwrap());
    rig.start().await;
    let recorder = rig.run(&order(json!({ "say": ["begun"], "wait": rig.gate() }))).await;
    rig.until_logged(&recorder, "begun").await;
    let password = hex::encode(Sha256::digest(format!("redis {}", rig.token())));
    assert!(!rig.jobs()[0].to_string().contains(&password), "no password is in the object");
    rig.open_gate();
    assert_eq!(recorder.end().await.outcome, Outcome::Returned(TaskResult::Sim { outputs: 0 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn users_of_runs_that_a_former_server_left_are_removed() {
    let (mut rig, server) = with_redis().await;
    let left = order(json!({ "wait": rig.gate(), "say": ["begun"] }));
    let recorder = rig.run(&left).await;
    rig.until_logged(&recorder, "begun").await;
    rig.stop().await;
    rig.config.adoption = std::time::Duration::from_millis(200);
    rig.start().await;
    csw_core::ports::Executor::live(rig.executor()).await;
    let user = format!("run-{}", left.lease);
    let names = async || format!("{:?}", ask(&server, "admin", ADMIN, &["ACL", "USERS"]).await.unwrap());
    assert!(names().await.contains(&user));
    while names().await.contains(&user) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    until("the Job is gone", || rig.jobs().is_empty()).await;
}

#[test]
fn an_address_has_no_password() {
    for wrong in ["redis://user:secret@host", "redis://:secret@host", "http://host", "nonsense"] {
        let error = RedisAddress::new(wrong, None).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
    assert!(RedisAddress::new("redis://host:6379/1", None).unwrap().is_clear());
}
