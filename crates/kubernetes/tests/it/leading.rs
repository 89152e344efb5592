//! One of several replicas leads.

use std::time::Duration;

use csw_kubernetes::leader::{Candidate, Lost, Times};
use csw_kubernetes_testing::{Fault, Verb};

use crate::rig::{NAMESPACE, Rig, until};

const TIMES: Times = Times {
    duration: Duration::from_millis(900),
    renewal: Duration::from_millis(150),
    give_up: Duration::from_millis(600),
    look: Duration::from_millis(100),
};

fn candidate(rig: &Rig, identity: &str) -> Candidate {
    let (namespace, lease) = (NAMESPACE.to_owned(), "csw-scheduler".to_owned());
    Candidate::new(rig.client(), namespace, lease, identity.to_owned()).with_times(TIMES)
}

fn holder(rig: &Rig) -> String {
    let leases = rig.cluster.objects("leases", NAMESPACE);
    leases.first().and_then(|lease| lease["spec"]["holderIdentity"].as_str()).unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_leads_and_leaves_the_lead_to_the_next() {
    let rig = Rig::new().await;
    let first = candidate(&rig, "first").lead().await;
    let second = candidate(&rig, "second");
    let waiting = tokio::spawn(async move { second.lead().await });
    // It renews several times meanwhile.
    let renewals = || rig.cluster.count(Verb::Replace, "leases");
    until("renewals", || renewals() >= 8).await;
    assert!(!waiting.is_finished());
    assert_eq!(holder(&rig), "first");
    first.resign().await;
    let second = waiting.await.unwrap();
    assert_eq!(holder(&rig), "second");
    second.resign().await;
    assert_eq!(holder(&rig), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_vanishes_is_followed() {
    let rig = Rig::new().await;
    // Its last act: it never renews.
    let gone = Candidate::with_times(candidate(&rig, "gone"), Times { renewal: Duration::from_hours(1), ..TIMES });
    let _gone = gone.lead().await;
    let next = candidate(&rig, "next").lead().await;
    assert_eq!(holder(&rig), "next");
    next.resign().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_can_not_renew_gives_up_before_another_begins() {
    let rig = Rig::new().await;
    let leader = candidate(&rig, "leader").lead().await;
    rig.cluster.go_down();
    assert_eq!(leader.lost().await, Lost::NotRenewed);
    rig.cluster.come_up();
    // It did not touch the Lease again.
    assert_eq!(holder(&rig), "leader");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_nobody_can_stand_in_for_goes_on_when_the_server_is_back() {
    let rig = Rig::new().await;
    let leader = candidate(&rig, "leader").alone().lead().await;
    rig.cluster.go_down();
    let lost = tokio::time::timeout(TIMES.duration * 2, leader.lost()).await;
    assert!(lost.is_err(), "{lost:?}");
    rig.cluster.come_up();
    let renewals = rig.cluster.count(Verb::Replace, "leases");
    until("a renewal", || rig.cluster.count(Verb::Replace, "leases") > renewals).await;
    leader.resign().await;
    assert_eq!(holder(&rig), "");
}

/// A request that was given up and carried out later changes the Lease between two of the next.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_in_its_own_way_leads_on() {
    let rig = Rig::new().await;
    let leader = candidate(&rig, "leader").lead().await;
    rig.cluster.fault(Verb::Replace, "leases", Fault::Conflict);
    let renewals = rig.cluster.count(Verb::Replace, "leases");
    until("renewals", || rig.cluster.count(Verb::Replace, "leases") >= renewals + 3).await;
    let lost = tokio::time::timeout(TIMES.renewal, leader.lost()).await;
    assert!(lost.is_err(), "{lost:?}");
    leader.resign().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_lease_is_taken_leads_no_more() {
    let rig = Rig::new().await;
    let leader = candidate(&rig, "leader").lead().await;
    let mut lease = rig.cluster.objects("leases", NAMESPACE).remove(0);
    lease["spec"]["holderIdentity"] = "another".into();
    rig.cluster.apply("leases", lease);
    assert_eq!(leader.lost().await, Lost::Taken);
    assert_eq!(holder(&rig), "another");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_take_it_at_once_one_is_refused() {
    let rig = Rig::new().await;
    rig.cluster.fault(Verb::Create, "leases", Fault::AnswerLost);
    let (first, second) = (candidate(&rig, "first"), candidate(&rig, "second"));
    let (first, second) =
        (tokio::spawn(async move { first.lead().await }), tokio::spawn(async move { second.lead().await }));
    until("a leader", || first.is_finished() || second.is_finished()).await;
    tokio::time::sleep(TIMES.duration * 2).await;
    assert!(first.is_finished() != second.is_finished(), "one leads");
    first.abort();
    second.abort();
}
