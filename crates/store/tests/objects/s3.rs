//! S3, by a real server that checks signatures.

use csw_store::{BucketConfig, BucketCredentials, Provider};
use csw_store_testing::{BUCKET, S3, SECRET};

use crate::suite;

fn config(server: &S3, secret: &str) -> BucketConfig {
    BucketConfig {
        endpoint: Some(server.url()),
        credentials: BucketCredentials::Text(S3::credentials(secret)),
        ..BucketConfig::new(Provider::S3, BUCKET)
    }
}

#[tokio::test]
async fn s3_keeps_the_contract() {
    let server = S3::start();
    suite::run_bucket(&config(&server, SECRET)).await;
    suite::refuses(config(&server, "another-secret"), "another-secret").await;
}

#[tokio::test]
async fn s3_without_conditional_puts_keeps_the_contract() {
    let server = S3::start();
    suite::run_bucket(&BucketConfig { conditional_puts: false, ..config(&server, SECRET) }).await;
}
