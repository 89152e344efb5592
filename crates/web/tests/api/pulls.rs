//! Pull requests: what opening, pushing, closing and merging one does. Git itself and real builds are in the tests of the
//! whole server; here every build fails.

use csw_app::Config;
use csw_core::{ids::ModelId, ports::PullStore, pull::PullState, repository::RepositoryId};
use csw_web::WebOptions;
use serde_json::{Value, json};

use crate::rig::{ADMIN, OTHER, OWNER, Rig, STRANGER, WRITER};

const PULLS: &str = "/owner/Model/api/v1/pulls/";
const PUBLISH: &str = "/publish/api/v1/pulls/";

/// Opens the pull request of a new branch; its number.
pub(crate) async fn opened(rig: &Rig, at: &str, who: &str) -> u64 {
    let wanted = json!({ "branch": rig.repositories.idea() });
    rig.granted(201, "POST", at, who, wanted).await["number"].as_u64().unwrap()
}

/// The pull request, once its checks are over.
async fn checked(rig: &Rig, at: &str, number: u64) -> Value {
    for _ in 0..2_000 {
        let pull = rig.granted(200, "GET", &format!("{at}{number}/"), OWNER, Value::Null).await;
        let over = |check: &Value| check["state"] == "passed" || check["state"] == "failed";
        if pull["checks"].as_array().unwrap().iter().all(over) {
            return pull;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("the checks of {number} are not over");
}

async fn id(rig: &Rig) -> ModelId {
    rig.app.model(&csw_core::access::Caller::Anonymous, "owner", "Model").await.unwrap().model.id
}

#[tokio::test]
async fn a_branch_has_one_pull_request_that_is_checked() {
    let rig = Rig::new().await;
    let branch = rig.repositories.idea();
    let new = json!({ "branch": branch, "body": "Why [Skip Test]" });
    let pull = rig.granted(201, "POST", PULLS, OWNER, new.clone()).await;
    assert_eq!((&pull["title"], &pull["into"]), (&json!("A <b>better</b> idea"), &json!("main")));
    assert_eq!((&pull["skip_tests"], &pull["repository"]), (&json!(true), &json!("owner/Model")));
    assert_eq!(pull["commits"][0]["id"], pull["head"]);
    let again = rig.granted(201, "POST", PULLS, OWNER, new).await;
    assert_eq!(again["number"], pull["number"]);
    let pull = checked(&rig, PULLS, 1).await;
    let check = &pull["checks"][0];
    assert_eq!((&check["state"], &check["model"]), (&json!("failed"), &json!("owner/Model")));
    assert!(check["message"].as_str().unwrap().contains("no network here"), "{check}");
    let build = check["build"].as_str().unwrap();
    let build = rig.granted(200, "GET", &format!("/publish/api/owner/Model/builds/{build}/"), OWNER, Value::Null).await;
    assert_eq!((&build["trigger"], &build["promote"]), (&json!("pull_request"), &json!(false)));
    let found = rig.granted(200, "GET", &format!("{PULLS}?branch={branch}"), OWNER, Value::Null).await;
    assert_eq!((&found["count"], &found["results"][0]["number"]), (&json!(1), &json!(1)));
    let closed = rig.granted(200, "GET", &format!("{PULLS}?state=closed"), OWNER, Value::Null).await;
    assert_eq!(closed["count"], 0);
}

#[tokio::test]
async fn what_cannot_be_proposed_is_refused_with_the_way_out() {
    let rig = Rig::new().await;
    for (body, field, says) in [
        (json!({}), "branch", "required"),
        (json!({ "branch": "none" }), "branch", "There is no branch none: push it first. There are main"),
        (json!({ "branch": "main" }), "branch", "main has nothing that main has not"),
        (json!({ "branch": rig.repositories.idea(), "title": "x".repeat(201) }), "title", "200 characters"),
        (json!({ "branch": rig.repositories.idea(), "body": "x".repeat(10_001) }), "body", "10000 characters"),
    ] {
        let refused = rig.granted(400, "POST", PULLS, OWNER, body).await;
        assert!(refused[field][0].as_str().unwrap().contains(says), "{refused}");
    }
    rig.granted(200, "PUT", "/publish/api/owner/Model/detail/", OWNER, json!({ "repo_tag": "v1" })).await;
    let refused = rig.granted(400, "POST", PULLS, OWNER, json!({ "branch": rig.repositories.idea() })).await;
    assert!(refused["branch"][0].as_str().unwrap().contains("no branch v1 to merge into"), "{refused}");
    rig.granted(400, "GET", &format!("{PULLS}?state=odd"), OWNER, Value::Null).await;
}

#[tokio::test]
async fn nothing_is_merged_before_its_checks_have_passed() {
    let rig = Rig::new().await;
    rig.give(None, WRITER, "write").await;
    let number = opened(&rig, PULLS, WRITER).await;
    checked(&rig, PULLS, number).await;
    let merge = format!("{PULLS}{number}/merge/");
    let refused = rig.granted(409, "POST", &merge, OWNER, Value::Null).await;
    let sentence = refused["detail"].as_str().unwrap();
    assert!(sentence.contains("The check of owner/Model has failed: "), "{sentence}");
    assert!(sentence.contains("no network here") && sentence.contains("a maintainer merges it anyway"), "{sentence}");
    rig.granted(403, "POST", &merge, OWNER, json!({ "anyway": true })).await;
    let wish = json!({ "anyway": true, "delete_branch": true });
    let merged = rig.granted(200, "POST", &merge, ADMIN, wish).await;
    assert_eq!((&merged["state"], &merged["merged_by"]), (&json!("merged"), &json!("chief")));
    assert!(merged["message"].as_str().unwrap().contains("is live when that succeeds"), "{merged}");
    let repository = RepositoryId::Model(id(&rig).await);
    assert_eq!(rig.repositories.tip(repository, "main").as_deref(), merged["head"].as_str());
    assert_eq!(rig.repositories.tip(repository, merged["branch"].as_str().unwrap()), None);
    // What was not tested is built, and promoted by that build alone.
    let build = merged["checks"][0]["build"].as_str().unwrap();
    let build = rig.granted(200, "GET", &format!("/publish/api/owner/Model/builds/{build}/"), OWNER, Value::Null).await;
    assert_eq!(
        (&build["promote"], &build["source"]),
        (&json!(true), &json!(format!("commit {} of main", merged["head"].as_str().unwrap())))
    );
    let again = rig.granted(409, "POST", &merge, ADMIN, Value::Null).await;
    assert!(again["detail"].as_str().unwrap().contains("is merged"), "{again}");
    let mail = rig.mail(WRITER, "Pull request").await;
    assert!(mail.body.contains("chief merged it") && mail.body.contains("/owner/Model/pulls/1/"), "{}", mail.body);
}

#[tokio::test]
async fn a_push_moves_a_pull_request_and_its_check() {
    let rig = Rig::new().await;
    let branch = rig.repositories.idea();
    let first = rig.granted(201, "POST", PULLS, OWNER, json!({ "branch": branch })).await;
    let repository = RepositoryId::Model(id(&rig).await);
    rig.repositories.push(repository, &branch, "facade");
    // However it becomes known.
    let moved = rig.granted(200, "GET", &format!("{PULLS}1/"), OWNER, Value::Null).await;
    assert_eq!(moved["head"], "facade");
    assert_ne!(moved["checks"][0]["build"], first["checks"][0]["build"]);
    let old = first["checks"][0]["build"].as_str().unwrap();
    let old = format!("/publish/api/owner/Model/builds/{old}/");
    for _ in 0..2_000 {
        let build = rig.granted(200, "GET", &old, OWNER, Value::Null).await;
        if build["state"] != "queued" && build["state"] != "running" {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("the check of the old head goes on");
}

#[tokio::test]
async fn closed_ones_open_again_and_are_checked_anew() {
    let rig = Rig::new().await;
    let number = opened(&rig, PULLS, OWNER).await;
    let one = format!("{PULLS}{number}/");
    let closed = rig.granted(200, "POST", &format!("{one}close/"), OWNER, Value::Null).await;
    assert_eq!(closed["state"], "closed");
    let refused = rig.granted(409, "POST", &format!("{one}merge/"), ADMIN, json!({ "anyway": true })).await;
    assert!(refused["detail"].as_str().unwrap().contains("open it again first"), "{refused}");
    let open = rig.granted(200, "PUT", &one, OWNER, json!({ "state": "open", "title": "Other" })).await;
    assert_eq!((&open["state"], &open["title"]), (&json!("open"), &json!("Other")));
    assert_ne!(open["checks"][0]["build"], closed["checks"][0]["build"]);
    rig.granted(400, "PUT", &one, OWNER, json!({ "title": " " })).await;
    rig.granted(400, "PUT", &one, OWNER, json!({ "state": "merged" })).await;
    // Once its branch is gone, so is it.
    let repository = RepositoryId::Model(id(&rig).await);
    let (branch, head) = (open["branch"].as_str().unwrap(), open["head"].as_str().unwrap());
    csw_core::ports::Repositories::move_branch(&*rig.repositories, repository, branch, head, None).await.unwrap();
    let gone = rig.granted(200, "GET", &one, OWNER, Value::Null).await;
    assert_eq!((&gone["state"], &gone["message"]), (&json!("closed"), &json!("Closed: its branch was deleted.")));
    let refused = rig.granted(400, "PUT", &one, OWNER, json!({ "state": "open" })).await;
    assert!(refused["branch"][0].as_str().unwrap().contains("push it first"), "{refused}");
}

#[tokio::test]
async fn where_approval_is_required_a_maintainer_merges() {
    let config = Config { approval_required: true, submissions_per_minute: 1_000, ..Config::default() };
    let rig = Rig::with(config, WebOptions::default()).await;
    for at in [PULLS, PUBLISH] {
        let number = opened(&rig, at, OWNER).await;
        let refused = rig.granted(403, "POST", &format!("{at}{number}/merge/"), OWNER, Value::Null).await;
        assert_eq!(refused["detail"], "On this site a maintainer merges.");
        let own = rig.granted(200, "GET", &format!("{at}{number}/"), OWNER, Value::Null).await;
        let chief = rig.granted(200, "GET", &format!("{at}{number}/"), ADMIN, Value::Null).await;
        assert_eq!((&own["may_merge"], &chief["may_merge"]), (&json!(false), &json!(true)));
    }
}

#[tokio::test]
async fn the_publish_repository_takes_proposals_of_those_who_may_change_the_model() {
    let rig = Rig::new().await;
    let number = opened(&rig, PUBLISH, OWNER).await;
    let pull = checked(&rig, PUBLISH, number).await;
    assert_eq!((&pull["repository"], &pull["checks"][0]["model"]), (&json!("publish"), &json!("owner/Model")));
    let mail = rig.mail(ADMIN, "Pull request 1 of publish").await;
    assert!(mail.body.contains("owner opened"), "{}", mail.body);
    // Others push branches of their own, and what they are about is looked at.
    rig.repositories.push(RepositoryId::Publish, "other/idea", "0ther");
    let refused = rig.granted(403, "POST", PUBLISH, OTHER, json!({ "branch": "other/idea" })).await;
    assert!(refused["detail"].as_str().unwrap().contains("may change owner/Model"), "{refused}");
    let refused = rig.granted(403, "POST", PUBLISH, STRANGER, json!({ "branch": "other/idea" })).await;
    assert!(refused["detail"].as_str().unwrap().contains("push a branch of yours"), "{refused}");
    let merged = rig.granted(200, "POST", &format!("{PUBLISH}{number}/merge/"), ADMIN, json!({ "anyway": true })).await;
    assert!(merged["message"].as_str().unwrap().starts_with("owner/Model: it is being built"), "{merged}");
    let model = rig.granted(200, "GET", "/publish/api/owner/Model/detail/", OWNER, Value::Null).await;
    assert_eq!(model["cpu"], "1.5", "what the file says counts from now on");
}

#[tokio::test]
async fn a_merge_that_was_interrupted_goes_on() {
    let rig = Rig::new().await;
    let repository = RepositoryId::Model(id(&rig).await);
    for moved in [false, true] {
        let number = opened(&rig, PULLS, OWNER).await;
        checked(&rig, PULLS, number).await;
        let mut pull = rig.store.pull(repository, u32::try_from(number).unwrap()).await.unwrap().unwrap();
        let from = rig.repositories.tip(repository, "main").unwrap();
        pull.state = PullState::Merging;
        pull.merge = Some(csw_core::pull::Merge {
            commit: pull.head.clone(),
            from,
            by: rig.app.account_by_name(ADMIN).await.unwrap().id,
            delete_branch: false,
        });
        assert!(rig.store.update_pull(&pull).await.unwrap());
        if moved {
            rig.repositories.push(repository, "main", &pull.head);
        }
        let background = rig.app.start().await;
        let one = rig.granted(200, "GET", &format!("{PULLS}{number}/"), OWNER, Value::Null).await;
        assert_eq!((&one["state"], &one["merged_by"]), (&json!("merged"), &json!("chief")));
        assert_eq!(rig.repositories.tip(repository, "main"), Some(pull.head));
        drop(background);
    }
}

#[tokio::test]
async fn what_strangers_wrote_is_shown_as_text() {
    let rig = Rig::new().await;
    let number = opened(&rig, PULLS, OWNER).await;
    let page = rig.get(&format!("/owner/Model/pulls/{number}/"), OWNER).await.text();
    assert!(page.contains("&#60;script&#62;alert(1)&#60;/script&#62;"), "{page}");
    assert!(page.contains("A &#60;b&#62;better&#60;/b&#62; idea") && !page.contains("<script>alert"), "{page}");
}
