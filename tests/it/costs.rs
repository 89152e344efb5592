//! What runs cost, at the command line.

use csw_client::NewSimulation;
use csw_tests::{Result, Server, csw};
use serde_json::{Value, json};

use crate::common::Run;

const NULL: &str = "contract/Null";
const EDGES: &str = "contract/Edge-Cases";

/// Whoever submits faster than runs are validated gets no more than the budget has.
#[tokio::test]
async fn a_burst_does_not_outrun_a_budget() -> Result {
    let server = Server::with_models()?;
    let ann = server.account("ann", "member")?;
    let client = server.client(Some(&ann))?;
    let estimate: Value = server.fetch(None, &format!("/{EDGES}/api/v1/estimate/"), &[]).await?.json().await?;
    let dollars = format!("{:.9}", 2.5 * estimate["cost"].as_f64().unwrap_or_default());
    csw(&["accounts", "budget", "set", "ann", &dollars, "--data", &server.place(), "--json"], &[])?.json::<Value>()?;
    let submit = async |number: u32| {
        let seconds = f64::from(number).mul_add(0.01, 20.0);
        let adjustment = json!({ "Run": { "case": [{ "value": "sleeps" }], "seconds": [{ "value": seconds }] } });
        client.create(EDGES, &NewSimulation { adjustment, ..NewSimulation::default() }).await
    };
    let answers = futures::future::join_all((0..12).map(submit)).await;
    let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert_eq!(answers.len() - refused.len(), 2, "{refused:?}");
    assert!(refused.iter().all(|error| error.to_string().contains("does not cover this run")), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn a_month_is_paid_by_runs_sponsors_and_budgets() -> Result {
    let server = Server::with_models()?;
    let (owner, ann) = (server.publisher()?, server.account("ann", "member")?);
    let [owners, anns] = [&owner, &ann].map(|account| server.client(Some(account)));
    let (owners, anns) = (owners?, anns?);
    let fresh = || NewSimulation { fresh: true, ..NewSimulation::default() };
    // Less than a millisecond would cost nothing.
    let adjustment = json!({ "Run": { "case": [{ "value": "sleeps" }], "seconds": [{ "value": 0.05 }] } });
    Run::new(&anns, EDGES, &NewSimulation { adjustment, ..fresh() }).await?.succeeded();
    let costs = anns.costs(None, None).await?;
    assert_eq!(costs.results.len(), 1, "{costs:?}");
    let row = &costs.results[0];
    let names = [&row.payer, &row.account, &row.model].map(|name| name.as_deref().unwrap_or_default());
    assert_eq!((names, row.runs), (["ann", "ann", EDGES], 1));
    assert!(row.cost > 0.0 && row.seconds > 0.0 && (costs.total - row.cost).abs() < 1e-12);
    let place = server.place();
    let budget = |words: &[&str]| csw(&[&["accounts", "budget"], words, &["--data", &place, "--json"]].concat(), &[]);
    let set: Value = budget(&["set", "ann", "0"])?.json()?;
    assert_eq!((&set["monthly"], &set["is_default"]), (&json!(0.0), &json!(false)));
    let wrong = budget(&["set", "ann", "much"])?;
    assert!(wrong.code == 2 && wrong.stderr.contains("no number of dollars"), "{}", wrong.stderr);
    let refused = server.csw(&ann, &["sims", "-n", NULL, "create"])?;
    assert_eq!(refused.code, 3);
    assert!(
        refused.stderr.contains("Your budget of $0.00") && refused.stderr.contains("raise it"),
        "{}",
        refused.stderr
    );
    let sponsored =
        server.csw(&owner, &["models", "-n", NULL, "sponsor", "contract", "--message", "With pleasure."])?;
    assert!(
        sponsored.stdout.contains("contract pays for everybody's runs"),
        "{}{}",
        sponsored.stdout,
        sponsored.stderr
    );
    Run::new(&anns, NULL, &fresh()).await?.succeeded();
    let paid = owners.costs(None, None).await?.results;
    assert!(paid.iter().any(|row| row.account.as_deref() == Some("ann") && row.payer.as_deref() == Some("contract")));
    let all = server.csw(&owner, &["costs", "--account", "*", "--csv"])?.stdout;
    assert!(all.starts_with("month,payer,account,model,runs,seconds,dollars\n"), "{all}");
    assert!(all.contains(",\"contract\",\"ann\",\"contract/Null\",1,"), "{all}");
    assert_eq!(server.csw(&ann, &["costs", "--account", "*"])?.code, 3, "others' costs are not hers");
    budget(&["set", "ann", "default"])?.json::<Value>()?;
    let taken = server.csw(&owner, &["models", "-n", NULL, "sponsor", "--none"])?;
    assert!(taken.stdout.contains("everybody pays for their own"), "{}", taken.stderr);
    Run::new(&anns, NULL, &fresh()).await?.succeeded();
    Ok(())
}
