//! Workers that are none of ours tell how runs ended: `PUT /inputs/api/` and `PUT /outputs/api/` of 1.6.

use anyhow::Context;
use csw_client::NewSimulation;
use csw_tests::{Account, Ground, Result, S3, Server};
use serde_json::{Value, json};

const NULL: &str = "contract/Null";

/// A server that runs nothing itself.
const IDLE: &str = "[machine]\nruns = 0\n";

async fn put(server: &Server, by: Option<&Account>, path: &str, body: &Value) -> Result<u16> {
    // It sees to the cryptography that every client needs.
    server.client(None)?;
    let mut request = reqwest::Client::new().put(format!("{}{path}", server.url()?)).json(body);
    if let Some(account) = by {
        request = request.header("Authorization", format!("Token {}", account.token));
    }
    Ok(request.send().await?.status().as_u16())
}

fn waiting(server: &Server, task: &str) -> Result<String> {
    let rows = server.query(&format!("SELECT id FROM runs WHERE task = '{task}' AND state = 'queued'"))?;
    Ok(rows.first().and_then(|row| row["id"].as_str()).context("a run waits")?.to_owned())
}

#[tokio::test]
async fn a_worker_of_1_6_ends_a_simulation() -> Result {
    let server = Server::with_models_on(Ground { settings: Some(IDLE), ..Ground::default() })?;
    let (owner, service) = (server.publisher()?, server.account("comp-api-user", "member")?);
    let client = server.client(Some(&owner))?;
    let pk = client.create(NULL, &NewSimulation::default()).await?.sim.model_pk;
    let job = waiting(&server, "parse")?;
    assert_eq!(client.inputs(NULL, pk).await?.more["job_id"], job.as_str());
    let meta = json!({ "task_times": [0.5] });
    let valid = json!({ "task_id": job, "status": "SUCCESS", "meta": meta, "model_version": "1.0", "version": "v1",
                        "outputs": { "errors_warnings": { "Null": { "errors": {}, "warnings": {} } } } });
    for stranger in [None, Some(&owner)] {
        assert_eq!(put(&server, stranger, "/inputs/api/", &valid).await?, 401);
    }
    assert_eq!(put(&server, Some(&service), "/inputs/api/", &json!({ "job_id": job })).await?, 400);
    let nobodys = json!({ "job_id": "0198c0de-0000-7000-8000-000000000001", "status": "FAIL", "meta": meta });
    assert_eq!(put(&server, Some(&service), "/inputs/api/", &nobodys).await?, 404);
    assert_eq!(put(&server, Some(&service), "/outputs/api/", &valid).await?, 404, "it is no run of the model");
    assert_eq!(put(&server, Some(&service), "/inputs/api/", &valid).await?, 200);
    assert_eq!(client.inputs(NULL, pk).await?.status, "SUCCESS");
    assert_eq!(put(&server, Some(&service), "/inputs/api/", &valid).await?, 200, "a second time changes nothing");

    let job = waiting(&server, "sim")?;
    assert_eq!(client.remote(NULL, pk).await?.status, "PENDING");
    let outputs = json!({
        "renderable": [{ "title": "A number", "media_type": "table", "data": "<table></table>" }],
        "downloadable": [{ "title": "A file", "media_type": "PDF", "data": "JVBERi0=" }],
    });
    let done = json!({ "job_id": job, "status": "SUCCESS", "meta": { "task_times": [2.0] }, "model_version": "1.0",
                       "outputs": outputs });
    let mut broken = done.clone();
    broken["outputs"]["downloadable"][0]["data"] = "*".into();
    assert_eq!(put(&server, Some(&service), "/outputs/api/", &broken).await?, 400);
    let remote = json!({ "job_id": job, "status": "SUCCESS", "meta": meta,
                         "outputs": { "renderable": { "ziplocation": "x.zip", "outputs": [] } } });
    assert_eq!(put(&server, Some(&service), "/outputs/api/", &remote).await?, 400);
    assert_eq!(put(&server, None, "/outputs/api/", &done).await?, 401);
    assert_eq!(put(&server, Some(&service), "/outputs/api/", &done).await?, 200);
    let ended = client.wait(NULL, pk).await?;
    assert_eq!((ended.status.as_str(), ended.model_version.as_deref()), ("SUCCESS", Some("1.0")));
    let read = client.simulation(NULL, pk).await?.outputs.context("it has outputs")?;
    assert_eq!((read.renderable.len(), read.downloadable.len()), (1, 1));
    assert_eq!(read.downloadable[0].data, Value::String("JVBERi0=".to_owned()));
    let late = json!({ "job_id": job, "status": "FAIL", "meta": meta, "traceback": "too late" });
    assert_eq!(put(&server, Some(&service), "/outputs/api/", &late).await?, 200);
    assert_eq!(client.remote(NULL, pk).await?.status, "SUCCESS");
    Ok(())
}

/// A zip file with these members.
fn zip(members: &[(&str, &str)]) -> Result<Vec<u8>> {
    let script = "import sys, json, io, zipfile\nfile = io.BytesIO()\nwith zipfile.ZipFile(file, 'w') as archive:\n  \
                  for name, text in json.loads(sys.argv[1]): archive.writestr(name, text)\n\
                  sys.stdout.buffer.write(file.getvalue())";
    let done = std::process::Command::new("python3").args(["-c", script, &json!(members).to_string()]).output()?;
    anyhow::ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Ok(done.stdout)
}

#[tokio::test]
async fn a_worker_of_1_6_leaves_outputs_in_zip_files_of_the_bucket() -> Result {
    let bucket = S3::start();
    let settings = format!("{IDLE}{}", bucket.settings());
    let mut server = Server::prepared()?;
    server.configure(&settings)?;
    server.start()?;
    let (owner, service) = (server.publisher()?, server.account("comp-api-user", "member")?);
    let client = server.client(Some(&owner))?;
    let pk = client.create(NULL, &NewSimulation::default()).await?.sim.model_pk;
    let meta = json!({ "task_times": [0.5] });
    let valid = json!({ "task_id": waiting(&server, "parse")?, "status": "SUCCESS", "meta": meta,
                        "outputs": { "errors_warnings": { "Null": { "errors": {}, "warnings": {} } } } });
    assert_eq!(put(&server, Some(&service), "/inputs/api/", &valid).await?, 200);
    let job = waiting(&server, "sim")?;
    let names = [format!("{job}_renderable.zip"), format!("{job}_downloadable.zip")];
    let id = "0198c0de-0000-4000-8000-000000000001";
    let done = json!({ "task_id": job, "model_version": "1.2.0", "version": "v1", "meta": { "task_times": [26.7] },
        "status": "SUCCESS", "outputs": {
            "renderable": { "ziplocation": names[0], "outputs": [
                { "id": id, "title": "A number", "media_type": "table", "filename": "A number.html" }] },
            "downloadable": { "ziplocation": names[1], "outputs": [
                { "id": id, "title": "Data", "media_type": "CSV", "filename": "Data.csv" }] } } });
    let tell = async |body: &Value| put(&server, Some(&service), "/outputs/api/", body).await;
    assert_eq!(tell(&done).await?, 400, "they are not there");
    bucket.put(&format!("site/{}", names[0]), &zip(&[("A number.html", "<table><tr><td>7</td></tr></table>")])?);
    bucket.put(&format!("site/{}", names[1]), b"no zip file");
    assert_eq!(tell(&done).await?, 400, "one is none");
    bucket.put(&format!("site/{}", names[1]), &zip(&[("Other.csv", "a,b")])?);
    assert_eq!(tell(&done).await?, 400, "it lacks a member");
    let mut elsewhere = done.clone();
    elsewhere["outputs"]["downloadable"]["ziplocation"] = "outputs/of/somebody".into();
    assert_eq!(tell(&elsewhere).await?, 400, "an object of another name is none of this run");
    assert_eq!(client.remote(NULL, pk).await?.status, "PENDING");
    bucket.put(&format!("site/{}", names[1]), &zip(&[("Data.csv", "a,b\n1,2\n")])?);
    assert_eq!(tell(&done).await?, 200);
    let ended = client.wait(NULL, pk).await?;
    assert_eq!((ended.status.as_str(), ended.model_version.as_deref()), ("SUCCESS", Some("1.2.0")));
    let read = client.simulation(NULL, pk).await?.outputs.context("it has outputs")?;
    assert_eq!(read.renderable[0].data, json!("<table><tr><td>7</td></tr></table>"));
    assert_eq!((read.downloadable[0].title.as_str(), &read.downloadable[0].data), ("Data", &json!("a,b\n1,2\n")));
    // Nobody needs them any more, and who tells it twice is right.
    assert_eq!(names.map(|name| bucket.has(&format!("site/{name}"))), [false, false]);
    assert_eq!(tell(&done).await?, 200);
    Ok(())
}

#[tokio::test]
async fn a_worker_tells_what_the_model_said_when_it_broke() -> Result {
    let server = Server::with_models_on(Ground { settings: Some(IDLE), ..Ground::default() })?;
    let (owner, service) = (server.publisher()?, server.account("comp-api-user", "member")?);
    let client = server.client(Some(&owner))?;
    let pk = client.create(NULL, &NewSimulation::default()).await?.sim.model_pk;
    let job = waiting(&server, "parse")?;
    let failed = json!({ "job_id": job, "status": "FAIL", "meta": { "task_times": [0.1] }, "traceback": "it broke" });
    assert_eq!(put(&server, Some(&service), "/inputs/api/", &failed).await?, 200);
    let inputs = client.inputs(NULL, pk).await?;
    assert_eq!((inputs.status.as_str(), inputs.traceback.as_deref()), ("FAIL", Some("it broke")));
    Ok(())
}

#[tokio::test]
async fn the_name_of_workers_is_for_nobody_who_signs_up() -> Result {
    let server = Server::empty()?;
    server.client(None)?;
    let form =
        json!({ "username": "Comp-Api-User", "email": "", "password1": "long enough 7", "password2": "long enough 7" });
    let answer = reqwest::Client::new().post(format!("{}/rest-auth/registration/", server.url()?)).json(&form);
    let answer = answer.send().await?;
    assert_eq!(answer.status(), 400);
    assert!(answer.text().await?.contains("the site's own"));
    Ok(())
}
