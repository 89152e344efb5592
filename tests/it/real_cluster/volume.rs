//! Versions that are folders on a volume which the nodes share.

use anyhow::Context;
use csw_tests::Result;

use super::{
    given::Given,
    site::{NULL, Site, number, says},
};
use crate::common::Run;

#[tokio::test(flavor = "multi_thread")]
async fn versions_on_a_volume_run_in_the_image_of_the_settings() -> Result {
    let Some(given) = Given::with_volumes() else { return Ok(()) };
    let mut site = Site::on_volume(&given).await?;
    Run::new(&site.client()?, NULL, &number(7)).await?.succeeded();
    let (repository, _) = given.image.split_once('@').context("what `csw svc push` prints has a digest")?;
    let missing = format!("{repository}-that-was-never-pushed:1");
    site.set("image", &missing)?;
    let run = Run::new(&site.client()?, NULL, &number(3)).await?;
    let told = format!("{:?}{:?}", run.end.traceback, run.inputs.traceback);
    says(&told, &[&format!("the image {missing} can't be pulled"), "attempt 3 of 3"])
}
