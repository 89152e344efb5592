//! What was paid, and what may be.

use csw_core::{
    cost::{ChargeFilter, ChargeSum, Prices},
    ports::Store,
    run::Reason,
};
use jiff::{SignedDuration, Timestamp};

use crate::world::{World, account, person, sim_end};

const FREE: Prices = Prices { cpu_hour: 0.0, gigabyte_hour: 0.0 };

fn around(time: Timestamp) -> ChargeFilter {
    let day = SignedDuration::from_hours(24);
    ChargeFilter { account: None, from: time - day, until: time + day }
}

fn sum(payer: &str, account: &str, runs: u64) -> ChargeSum {
    #[allow(clippy::cast_precision_loss, reason = "a few runs")]
    let cost = 0.25 * runs as f64;
    ChargeSum {
        payer: Some(payer.to_owned()),
        account: Some(account.to_owned()),
        model: Some("Publisher/Taxes".to_owned()),
        runs,
        milliseconds: 70 * runs,
        cost,
    }
}

pub async fn each_end_is_paid_once(store: &dyn Store) {
    let world = World::new(store).await;
    let (id, _) = world.validated(world.owner, None).await;
    let claimed = world.claim().await.unwrap();
    let end = sim_end(&claimed, Reason::Fail);
    store.finish_sim(&end).await.unwrap();
    assert!(store.finish_sim(&end).await.unwrap().is_empty(), "it is over");
    assert_eq!(store.charges(&around(end.now)).await.unwrap(), [sum("Publisher", "Publisher", 1)], "failures cost too");
    store.delete_simulation(id).await.unwrap();
    assert_eq!(store.charges(&around(end.now)).await.unwrap().len(), 1, "what was paid stays paid");
    let elsewhen = ChargeFilter { until: end.now, ..around(end.now) };
    assert!(store.charges(&elsewhen).await.unwrap().is_empty(), "the end is not part of it");
    assert_eq!(store.time_of_charges(None).await.unwrap(), Some((end.now, end.now)));
}

pub async fn a_sponsor_pays_for_everybody(store: &dyn Store) {
    let world = World::new(store).await;
    let (guest, sponsor) = (account("Guest"), account("Sponsor"));
    for one in [&guest, &sponsor] {
        store.insert_account(one).await.unwrap();
    }
    world.finished(guest.id, None).await;
    let model = store.set_sponsor(world.model, Some((sponsor.id, Some("gladly")))).await.unwrap();
    assert_eq!((model.sponsor, model.sponsor_message.as_deref()), (Some(sponsor.id), Some("gladly")));
    world.finished(guest.id, None).await;
    world.finished(world.owner, None).await;
    let filter = ChargeFilter { account: None, from: Timestamp::UNIX_EPOCH, until: Timestamp::MAX };
    let of = |account| ChargeFilter { account: Some(account), ..filter.clone() };
    let guests = [sum("Guest", "Guest", 1), sum("Sponsor", "Guest", 1)];
    assert_eq!(store.charges(&of(guest.id)).await.unwrap(), guests);
    let sponsored = [sum("Sponsor", "Guest", 1), sum("Sponsor", "Publisher", 1)];
    assert_eq!(store.charges(&of(sponsor.id)).await.unwrap(), sponsored);
    assert_eq!(store.charges(&filter).await.unwrap().len(), 3);
    let spent = async |account| store.spent(account, Timestamp::UNIX_EPOCH, FREE).await.unwrap().to_bits();
    assert_eq!([spent(guest.id).await, spent(sponsor.id).await], [0.25_f64, 0.5].map(f64::to_bits));
    assert_eq!(store.set_sponsor(world.model, None).await.unwrap().sponsor, None);
}

pub async fn what_is_validated_is_counted_for_who_pays(store: &dyn Store) {
    let world = World::new(store).await;
    let waiting = async || store.in_validation(world.owner).await.unwrap();
    assert!(waiting().await.is_empty());
    for _ in 0..2 {
        world.submitted(world.owner).await;
    }
    let other = person(store, "Other").await;
    world.submitted(other).await;
    assert_eq!(waiting().await, [(world.model, world.version, 2)]);
    world.claim().await.expect("one is at work");
    store.set_sponsor(world.model, Some((world.owner, None))).await.unwrap();
    assert_eq!(waiting().await, [(world.model, world.version, 3)], "a sponsor pays for everybody's");
}

pub async fn what_is_going_to_run_counts_as_it_is_expected(store: &dyn Store) {
    let world = World::new(store).await;
    world.validated(world.owner, None).await;
    assert!(store.in_validation(world.owner).await.unwrap().is_empty());
    // An hour of one CPU.
    let prices = Prices { cpu_hour: 2.0, gigabyte_hour: 0.0 };
    let spent = async || store.spent(world.owner, Timestamp::UNIX_EPOCH, prices).await.unwrap();
    let expected = spent().await;
    assert!((expected - 2.0).abs() < 0.01, "{expected}");
    world.simulate(Reason::Success).await;
    let paid = spent().await;
    assert!((paid - 0.25).abs() < 1e-9, "{paid}");
}

pub async fn budgets(store: &dyn Store) {
    let world = World::new(store).await;
    assert_eq!(store.budget(world.owner).await.unwrap(), None);
    for monthly in [10.0, 0.0, 2.5] {
        store.set_budget(world.owner, Some(monthly)).await.unwrap();
        assert_eq!(store.budget(world.owner).await.unwrap(), Some(monthly));
    }
    store.set_budget(world.owner, None).await.unwrap();
    assert_eq!(store.budget(world.owner).await.unwrap(), None);
}
