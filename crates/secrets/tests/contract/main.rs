//! The contract of stores of secrets, on every one of them: the embedded one over a real database, the remote ones against
//! local servers that answer as the public descriptions of their APIs say. A suite is a module of functions over a
//! [`bench::Bench`]; to run them on another store, add a module to `on_each!`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bench;
mod google;
mod kubernetes;
mod remote;
mod rotation;
mod server;
mod suite;
mod vault;

macro_rules! on_each {
    ($($test:ident),* $(,)?) => {
        on_each!(@ embedded bench::embedded; $($test),*);
        on_each!(@ on_google bench::google; $($test),*);
        on_each!(@ on_vault bench::vault; $($test),*);
        on_each!(@ on_kubernetes bench::kubernetes; $($test),*);
    };
    (@ $store:ident $make:path; $($test:ident),*) => {
        mod $store {
            use crate::bench;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let bench = $make().await;
                    crate::suite::$test(&bench).await;
                }
            )*
        }
    };
}

on_each! {
    what_is_set_is_there,
    what_is_not_there_is_told,
    scopes_are_apart,
    deleting_takes_all_versions,
    values_may_be_any_text,
    nobody_is_lost_among_many,
    one_secret_set_by_many,
    former_versions,
}
