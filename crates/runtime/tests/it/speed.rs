//! How long a warm null run takes from order to acknowledged end: printed, never asserted.

use std::time::Instant;

use csw_core::{model::Strategy, run::Outcome};

use crate::support::{Place, null};

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_null_run() {
    let place = Place::new();
    let mut times = vec![];
    for number in 0..60 {
        let mut order = null(Strategy::Zygote, number);
        // All CPUs: the machine's scheduler is the only one.
        order.limits.cpus = 64.0;
        let begun = Instant::now();
        let (end, _) = place.run(&order).await;
        times.push(begun.elapsed());
        assert!(matches!(end.outcome, Outcome::Returned(_)), "{end:?}");
    }
    times.drain(..10);
    times.sort_unstable();
    println!("warm null run: p50 {:?}, p90 {:?}, max {:?}", times[25], times[45], times[49]);
}
