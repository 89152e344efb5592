//! The contract of the store's ports, on every database. A suite is a module of functions over `&dyn Store`; to run them
//! on another adapter, add a module to `on_each!`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accounts;
mod charges;
mod claiming;
mod comparisons;
mod crowd;
mod ending;
mod forges;
mod lists;
mod logs;
mod machine;
mod models;
mod people;
mod pulls;
mod secrets;
mod sharing;
mod simulations;
#[path = "../support/mod.rs"]
mod support;
mod thumbnails;
mod world;

macro_rules! on_each {
    ($($suite:ident: $($test:ident),* $(,)?;)*) => {
        mod sqlite {
            $(mod $suite {$(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let folder = tempfile::tempdir().unwrap();
                    let store = csw_store::SqlStore::open_sqlite(&folder.path().join("csw.sqlite")).await.unwrap();
                    crate::$suite::$test(&store).await;
                }
            )*})*
        }
        mod postgres {
            $(mod $suite {$(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let store = crate::support::fresh(stringify!($test)).await;
                    crate::$suite::$test(&store).await;
                    store.close().await;
                }
            )*})*
        }
    };
}

on_each! {
    accounts: round_trips, names_and_addresses_ignore_case, patches, search_ranks, tokens, sessions, resets,
        removal_leaves_no_person, removal_ends_private_simulations;
    models: round_trips, lists, settings_tags_and_status, roles, versions, promotion, schemas, builds, counts_and_recent;
    thumbnails: queue, finding;
    simulations: creation, numbers_have_no_gaps, idempotency, submission, patches, forks, objects_outlive_what_refers,
        parents, strange_texts;
    lists: filters, orders, search_is_literal_and_ignores_case;
    people: roles, owners_stay_admins, invitations, expired_invitations, leaving;
    claiming: order, fairness, room, room_skips_only_what_does_not_fit, leases_fence, of_one_run,
        requeue, positions;
    ending: validation, failed_validation, success, every_reason, cancelled_while_validating, statistics;
    sharing: join_and_distribute, memo_answers, memo_outlives_the_first, own_run_where_sharing_is_not_wanted,
        cancel_of_queued, cancel_of_running, cancel_of_shared, cancel_of_validation;
    charges: each_end_is_paid_once, a_sponsor_pays_for_everybody, what_is_validated_is_counted_for_who_pays,
        what_is_going_to_run_counts_as_it_is_expected, budgets;
    logs: offsets, overlaps, long_logs, of_builds;
    forges: builds_of_a_line_replace_each_other, checks, deliveries, a_delivery_is_taken_by_one, trusts;
    comparisons: views, candidates, life, nobody_pays, sharing, failures, ends, former_runs_go;
    pulls: numbers_and_branches, revisions, lists, numbers_under_concurrency;
    secrets: rows, old_versions_go, other_seals, trail;
    crowd: claims_are_exclusive, one_execution_for_many, cancel_races_with_the_end, joins_race_with_the_end,
        numbers_under_concurrency, one_simulation_for_a_repeated_request;
    machine: any_order_of_events_keeps_the_books;
}
