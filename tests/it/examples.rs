//! The first example of a model, and models that get none because they do not work.

use csw_client::{Client, ModelDetails, NewSimulation, SimulationQuery};
use csw_tests::{Draft, Result, Server, WorkingCopy};
use serde_json::{Value, json};

use crate::common::Run;

const MODEL: &str = "ann/First";

fn log_of(server: &Server, owner: &csw_tests::Account, model: &str) -> Result<String> {
    let logs: Value = server.csw(owner, &["models", "-n", model, "logs", "--json"])?.json()?;
    Ok(logs["log"].as_str().unwrap_or_default().to_owned())
}

async fn count_of(client: &Client, model: &str) -> Result<u64> {
    let query = SimulationQuery { model: Some(model.to_owned()), ..SimulationQuery::default() };
    Ok(client.simulations(&query).await?.count)
}

#[tokio::test]
async fn the_first_version_brings_an_example() -> Result {
    let server = Server::empty()?;
    let (ann, bob) = (server.account("ann", "member")?, server.account("bob", "member")?);
    let draft = Draft::new(&server.beside("model"), "")?;
    let done = server.publish(&ann, MODEL, draft.folder(), &[])?;
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(log_of(&server, &ann, MODEL)?.contains("The default inputs run as an example: ann/First#1"));
    let nobody = server.client(None)?;
    let example = nobody.wait(MODEL, 1).await?;
    assert_eq!((example.status.as_str(), example.owner.as_str()), ("SUCCESS", "ann"));
    assert_eq!((example.title.as_str(), example.is_public), ("Example: default inputs", true));
    assert_eq!(nobody.inputs(MODEL, 1).await?.adjustment, json!({}));
    let page = server.fetch(None, &format!("/{MODEL}/"), &[]).await?.text().await?;
    assert!(page.contains("href=\"/ann/First/1/\"") && page.contains("Example: default inputs"), "{page}");
    // It answers whoever changes nothing.
    let run = Run::of(&server.client(Some(&bob))?, MODEL, json!({}), json!({})).await?.succeeded();
    assert_eq!((run.pk, &run.end.more["from_memo"]), (2, &json!(true)));
    let draft = draft.file("cs-config/cs_config/__init__.py", "# another version\n")?;
    assert_eq!(server.publish(&ann, MODEL, draft.folder(), &[])?.code, 0);
    let client = server.client(Some(&ann))?;
    assert_eq!(client.versions(MODEL).await?.len(), 2);
    let own = client.simulations(&SimulationQuery::default()).await?;
    assert_eq!(own.count, 1, "there is an example already");
    Ok(())
}

#[tokio::test]
async fn an_example_can_be_left_out_and_is_as_private_as_its_model() -> Result {
    let server = Server::empty()?;
    let ann = server.account("ann", "member")?;
    let client = server.client(Some(&ann))?;
    let draft = Draft::new(&server.beside("model"), "")?;
    assert_eq!(server.publish(&ann, MODEL, draft.folder(), &["--no-example"])?.code, 0);
    let all = client.simulations(&SimulationQuery::default()).await?;
    assert_eq!(all.count, 0);
    let secret = "ann/Secret";
    let details = ModelDetails {
        title: Some("Secret".to_owned()),
        oneliner: Some("Nobody's business".to_owned()),
        description: Some("Nobody's business".to_owned()),
        ..ModelDetails::default()
    };
    client.create_model(&details).await?;
    client.put::<Value>(&format!("/publish/api/{secret}/detail/"), &json!({ "is_public": false })).await?;
    assert_eq!(server.publish(&ann, secret, draft.folder(), &[])?.code, 0);
    let example = client.wait(secret, 1).await?;
    assert_eq!((example.status.as_str(), example.is_public), ("SUCCESS", false));
    let bob = server.client(Some(&server.account("bob", "member")?))?;
    assert!(bob.remote(secret, 1).await.is_err_and(|error| matches!(error.status(), Some(403 | 404))));
    let page = server.fetch(Some(&ann), &format!("/{secret}/"), &[]).await?;
    assert!(page.text().await?.contains("href=\"/ann/Secret/1/\""), "its owner finds it");
    Ok(())
}

/// How a first version becomes live makes no difference, and what its build was asked counts.
#[tokio::test]
async fn a_first_version_that_was_staged_brings_an_example_too() -> Result {
    let server = Server::empty()?;
    let ann = server.account("ann", "member")?;
    let client = server.client(Some(&ann))?;
    let draft = Draft::new(&server.beside("model"), "")?;
    let folder = draft.folder().display().to_string();
    for (model, asked, wanted) in [(MODEL, None, 1), ("ann/Bare", Some("--no-example"), 0)] {
        let mut words = vec!["models", "-n", model, "stage", "--repo", &folder, "--skip-test"];
        words.extend(asked);
        assert_eq!(server.csw(&ann, &words)?.code, 0);
        let count = async || count_of(&client, model).await;
        assert_eq!(count().await?, 0, "it is not live");
        let version = client.versions(model).await?[0].id.clone();
        // Live a second time is no second first time.
        for _ in 0..2 {
            let promoted = server.csw(&ann, &["models", "-n", model, "promote", &version])?;
            assert_eq!((promoted.code, count().await?), (0, wanted), "{model}: {}", promoted.stderr);
        }
    }
    assert_eq!(client.wait(MODEL, 1).await?.title, "Example: default inputs");
    Ok(())
}

#[tokio::test]
async fn a_merge_that_makes_the_first_version_live_brings_one() -> Result {
    let server = Server::empty()?;
    let ann = server.account("ann", "member")?;
    let client = server.client(Some(&ann))?;
    let draft = Draft::new(&server.beside("model"), "")?;
    let copy = WorkingCopy::at(draft.folder(), &ann).begin("main")?;
    let url = format!("{}/git/{MODEL}.git", server.url()?);
    copy.done(&["push", "-o", "stage", "-o", "skip-test", &url, "main"])?;
    draft.file("cs-config/cs_config/__init__.py", "# better\n")?;
    copy.commit("Better [skip test]")?;
    copy.done(&["push", &url, "HEAD:better"])?;
    let pulls = |words: &[&str]| server.csw(&ann, &[&["models", "-n", MODEL, "pulls"], words].concat());
    let opened = pulls(&["open", "--branch", "better", "--wait"])?;
    assert_eq!(opened.code, 0, "{}", opened.stderr);
    assert_eq!(count_of(&client, MODEL).await?, 0);
    let merged = pulls(&["merge", "1"])?;
    assert_eq!(merged.code, 0, "{}", merged.stderr);
    let example = client.wait(MODEL, 1).await?;
    assert_eq!((example.title.as_str(), example.owner.as_str()), ("Example: default inputs", "ann"));
    Ok(())
}

/// A check that stopped before the run would call this model healthy.
#[tokio::test]
async fn a_model_that_cannot_run_is_not_published() -> Result {
    let server = Server::empty()?;
    let ann = server.account("ann", "member")?;
    let broken = "def run_model(meta_param_dict, adjustment):\n    raise OSError('data/cps.csv is missing')\n";
    let draft = Draft::new(&server.beside("model"), broken)?;
    let done = server.publish(&ann, MODEL, draft.folder(), &[])?;
    assert_eq!(done.code, 1, "{}", done.stderr);
    let answer: Value = serde_json::from_str(&done.stdout)?;
    assert_eq!(answer["build"]["stage"], "test");
    let told = answer["build"]["message"].as_str().unwrap_or_default();
    assert!(told.contains("run_model with the default inputs failed:\nTraceback"), "{told}");
    assert!(told.contains("OSError: data/cps.csv is missing"), "{told}");
    let client = server.client(Some(&ann))?;
    assert_eq!(client.model(MODEL).await?.status, "pending");
    let refused = client.create(MODEL, &NewSimulation::default()).await;
    assert!(refused.is_err_and(|error| error.status() == Some(403)));
    Ok(())
}

#[tokio::test]
async fn a_model_that_refuses_its_own_defaults_has_no_example() -> Result {
    let server = Server::empty()?;
    let ann = server.account("ann", "member")?;
    let strict = "def validate_inputs(meta_param_dict, adjustment, errors_warnings):\n    \
                  errors_warnings['Main']['errors']['number'] = ['say which']\n    \
                  return {'errors_warnings': errors_warnings}\n";
    let draft = Draft::new(&server.beside("model"), strict)?;
    let done = server.publish(&ann, MODEL, draft.folder(), &[])?;
    assert_eq!(done.code, 0, "{}", done.stderr);
    let log = log_of(&server, &ann, MODEL)?;
    assert!(log.contains("validate_inputs: refuses the default inputs"), "{log}");
    assert!(log.contains("No example is made: the model refuses its own default inputs"), "{log}");
    let client = server.client(Some(&ann))?;
    let all = client.simulations(&SimulationQuery::default()).await?;
    assert_eq!(all.count, 0);
    let warnings = client.versions(MODEL).await?[0].facts["conformance_warnings"].to_string();
    assert!(
        warnings.contains("validate_inputs refuses the default inputs") && warnings.contains("say which"),
        "{warnings}"
    );
    Ok(())
}
