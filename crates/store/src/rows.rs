//! From rows to domain types.

use csw_core::{
    access::AccountRole,
    account::{Account, Token},
    build::{Build, BuildState, Stage, Trigger},
    comparison::{Candidate, Compared, Comparison, ComparisonState},
    memo::MemoKey,
    model::{Model, ModelSettings, ModelStatus, Strategy, Version, VersionState},
    names::{AccountName, ModelTitle},
    output::{MediaType, Output, OutputKind, Thumbnail},
    ports::StoreResult,
    pull::{Pull, PullState},
    run::{Limits, Phases, Reason, Run, RunState, Task},
    simulation::{Inputs, InputsStatus, Invite, Simulation, SimulationStatus},
};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::any::AnyRow;

use crate::{
    columns::columns,
    sql::{Columns, corrupt},
};

pub(crate) fn account(row: &AnyRow) -> StoreResult<Account> {
    Ok(Account {
        id: row.id("id")?,
        name: AccountName::from_stored(row.text("name")?),
        email: row.text("email")?,
        first_name: row.text("first_name")?,
        last_name: row.text("last_name")?,
        password_hash: row.maybe_text("password_hash")?,
        role: row.word("role", AccountRole::parse)?,
        is_active: row.truth("is_active")?,
        created_at: row.time("created_at")?,
    })
}

pub(crate) fn token(row: &AnyRow) -> StoreResult<Token> {
    Ok(Token {
        id: row.id("token_id")?,
        account: row.id("account_id")?,
        name: row.text("token_name")?,
        prefix: row.text("prefix")?,
        hash: row.text("hash")?,
        created_at: row.time("token_created_at")?,
        expires_at: row.maybe_time("expires_at")?,
        last_used_at: row.maybe_time("last_used_at")?,
    })
}

/// Columns of a model with its owner's name; the table is `m`, the owner `o`.
pub(crate) const MODEL: &str = concat!(columns!(models, "m."), ", o.name AS owner_name");

pub(crate) fn model(row: &AnyRow) -> StoreResult<Model> {
    Ok(Model {
        id: row.id("id")?,
        owner: row.id("owner_id")?,
        owner_name: AccountName::from_stored(row.text("owner_name")?),
        title: ModelTitle::try_from(row.text("title")?).map_err(|error| corrupt("models.title", error))?,
        settings: ModelSettings {
            oneliner: row.text("oneliner")?,
            description: row.text("description")?,
            repo_url: row.text("repo_url")?,
            repo_tag: row.text("repo_tag")?,
            cpus: row.float("cpus")?,
            memory_gigabytes: row.float("memory_gigabytes")?,
            expected_seconds: row.maybe_int("expected_seconds")?.and_then(|seconds| u32::try_from(seconds).ok()),
            deadline_seconds: row.small("deadline_seconds")?,
            listed: row.truth("listed")?,
            is_public: row.truth("is_public")?,
            network: row.truth("network")?,
            deterministic: row.truth("deterministic")?,
            warm_up: row.truth("warm_up")?,
            build: from_json(row, "build_limits")?,
        },
        status: row.word("status", ModelStatus::parse)?,
        live_version: row.maybe_id("live_version_id")?,
        latest_tag: row.maybe_text("latest_tag")?,
        staging_tag: row.maybe_text("staging_tag")?,
        sponsor: row.maybe_id("sponsor_id")?,
        sponsor_message: row.maybe_text("sponsor_message")?,
        created_at: row.time("created_at")?,
    })
}

pub(crate) fn version(row: &AnyRow) -> StoreResult<Version> {
    Ok(Version {
        id: row.id("id")?,
        model: row.id("model_id")?,
        digest: row.text("digest")?,
        commit: row.text("commit_id")?,
        reported: row.text("reported")?,
        artifact: serde_json::from_str(&row.text("artifact")?).map_err(|error| corrupt("versions.artifact", error))?,
        strategy: row.word("strategy", Strategy::parse)?,
        state: row.word("state", VersionState::parse)?,
        facts: row.json("facts")?,
        created_at: row.time("created_at")?,
    })
}

pub(crate) fn build(row: &AnyRow) -> StoreResult<Build> {
    Ok(Build {
        id: row.id("id")?,
        model: row.id("model_id")?,
        requested_by: row.id("requested_by")?,
        trigger: row.word("reason", Trigger::parse)?,
        source: row.text("source")?,
        order: from_json(row, "ordered")?,
        commit: row.maybe_text("commit_id")?,
        stages: from_json(row, "stages")?,
        attempt: row.small("attempt")?,
        stage: row.word("stage", Stage::parse)?,
        state: row.word("state", BuildState::parse)?,
        message: row.maybe_text("message")?,
        version: row.maybe_id("version_id")?,
        created_at: row.time("created_at")?,
        finished_at: row.maybe_time("finished_at")?,
    })
}

pub(crate) fn pull(row: &AnyRow) -> StoreResult<Pull> {
    let merge = row.maybe_text("merge")?;
    Ok(Pull {
        id: row.id("id")?,
        repository: row.id("repository")?,
        number: row.small("number")?,
        author: row.id("author_id")?,
        author_name: row.text("author_name")?,
        title: row.text("title")?,
        body: row.text("body")?,
        branch: row.text("branch")?,
        into: row.text("target")?,
        head: row.text("head")?,
        state: row.word("state", PullState::parse)?,
        checks: from_json(row, "checks")?,
        skip_tests: row.truth("skip_tests")?,
        merge: merge.map(|text| serde_json::from_str(&text).map_err(|error| corrupt("merge", error))).transpose()?,
        outcome: row.maybe_text("outcome")?,
        revision: row.unsigned("revision")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
        closed_at: row.maybe_time("closed_at")?,
    })
}

/// A column of JSON as what it stands for.
pub(crate) fn from_json<T: DeserializeOwned>(row: &AnyRow, column: &'static str) -> StoreResult<T> {
    serde_json::from_str(&row.text(column)?).map_err(|error| corrupt(column, error))
}

/// What such a column holds.
pub(crate) fn json_text<T: Serialize>(value: &T) -> StoreResult<String> {
    serde_json::to_string(value).map_err(|error| corrupt("value", error))
}

pub(crate) fn phases(row: &AnyRow) -> StoreResult<Phases> {
    serde_json::from_str(&row.text("phases")?).map_err(|error| corrupt("phases", error))
}

pub(crate) fn phases_text(phases: Phases) -> String {
    serde_json::to_string(&phases).unwrap_or_else(|_| "{}".to_owned())
}

/// Simulations with the names of their owners and models; `WHERE` follows.
pub(crate) const SIMULATIONS: &str = concat!(
    "SELECT ",
    columns!(simulations, "s."),
    ", o.name AS owner_name, m.title AS model_title, mo.name AS model_owner \
    FROM simulations s JOIN accounts o ON o.id = s.owner_id JOIN models m ON m.id = s.model_id \
    JOIN accounts mo ON mo.id = m.owner_id"
);

pub(crate) fn simulation(row: &AnyRow) -> StoreResult<Simulation> {
    Ok(Simulation {
        id: row.id("id")?,
        model: row.id("model_id")?,
        model_owner: row.text("model_owner")?,
        model_title: row.text("model_title")?,
        number: row.small("number")?,
        owner: row.id("owner_id")?,
        owner_name: row.text("owner_name")?,
        title: row.text("title")?,
        readme: row.json("readme")?,
        is_public: row.truth("is_public")?,
        notify_on_completion: row.truth("notify")?,
        status: row.word("status", SimulationStatus::parse)?,
        reason: row.maybe_word("reason", Reason::parse)?,
        traceback: row.maybe_text("traceback")?,
        model_version: row.maybe_text("model_version")?,
        version: row.maybe_id("version_id")?,
        run_milliseconds: row.unsigned("run_milliseconds")?,
        cost: row.float("cost")?,
        phases: phases(row)?,
        created_at: row.time("created_at")?,
        modified_at: row.time("modified_at")?,
        expected_at: row.maybe_time("expected_at")?,
        finished_at: row.maybe_time("finished_at")?,
        parent: row.maybe_id("parent_id")?,
        run: row.maybe_id("run_id")?,
        answered_by: row.maybe_id("answered_by")?,
        archived: row.truth("archived")?,
        views: row.unsigned("views")?,
    })
}

pub(crate) fn simulation_with_inputs(row: &AnyRow) -> StoreResult<(Simulation, Inputs)> {
    Ok((simulation(row)?, inputs(row)?))
}

pub(crate) fn inputs(row: &AnyRow) -> StoreResult<Inputs> {
    Ok(Inputs {
        status: row.word("inputs_status", InputsStatus::parse)?,
        meta_parameters: row.json("meta_parameters")?,
        adjustment: row.json("adjustment")?,
        errors_warnings: row.json("errors_warnings")?,
        custom_adjustment: row.maybe_json("custom_adjustment")?,
        traceback: row.maybe_text("inputs_traceback")?,
        client: row.text("client")?,
        run: row.maybe_id("inputs_run_id")?,
        version: row.maybe_id("inputs_version_id")?,
    })
}

pub(crate) fn output(row: &AnyRow) -> StoreResult<Output> {
    Ok(Output {
        id: row.id("id")?,
        kind: row.word("kind", OutputKind::parse)?,
        position: row.small("position")?,
        title: row.text("title")?,
        media_type: row.word("media_type", MediaType::parse)?,
        filename: row.text("filename")?,
        size: row.unsigned("size")?,
        sha256: row.text("sha256")?,
        thumbnail: row.word("thumbnail", Thumbnail::parse)?,
    })
}

pub(crate) fn run(row: &AnyRow) -> StoreResult<Run> {
    Ok(Run {
        id: row.id("id")?,
        task: row.word("task", Task::parse)?,
        model: row.id("model_id")?,
        version: row.id("version_id")?,
        simulation: row.id("simulation_id")?,
        owner: row.id("owner_id")?,
        arguments: row.json("arguments")?,
        memo_key: row.maybe_text("memo_key")?.map(MemoKey::from_stored),
        limits: Limits {
            cpus: row.float("cpus")?,
            memory_bytes: row.unsigned("memory_bytes")?,
            deadline_seconds: row.small("deadline_seconds")?,
        },
        state: row.word("state", RunState::parse)?,
        reason: row.maybe_word("reason", Reason::parse)?,
        message: row.maybe_text("message")?,
        attempt: row.small("attempt")?,
        enqueued_at: row.time("enqueued_at")?,
        started_at: row.maybe_time("started_at")?,
        finished_at: row.maybe_time("finished_at")?,
        phases: phases(row)?,
        cancel_requested: row.truth("cancel_requested")?,
    })
}

pub(crate) fn candidate(row: &AnyRow) -> StoreResult<Candidate> {
    Ok(Candidate { simulation: row.id("id")?, baseline: row.id("baseline")? })
}

pub(crate) fn comparison(row: &AnyRow) -> StoreResult<Comparison> {
    Ok(Comparison {
        version: row.id("version_id")?,
        model: row.id("model_id")?,
        baseline: row.id("baseline_id")?,
        requested_by: row.id("requested_by")?,
        state: row.word("state", ComparisonState::parse)?,
        hidden: row.unsigned("hidden")?,
        created_at: row.time("created_at")?,
        finished_at: row.maybe_time("finished_at")?,
    })
}

pub(crate) fn compared(row: &AnyRow) -> StoreResult<Compared> {
    let verdict = row.maybe_text("verdict")?;
    let verdict = verdict.map(|text| serde_json::from_str(&text).map_err(|error| corrupt("verdict", error)));
    Ok(Compared {
        simulation: row.id("simulation_id")?,
        number: row.small("number")?,
        title: row.text("title")?,
        is_public: row.truth("is_public")?,
        views: row.unsigned("views")?,
        baseline: row.maybe_id("baseline_run_id")?,
        run: row.maybe_id("run_id")?,
        verdict: verdict.transpose()?,
    })
}

pub(crate) fn invite(row: &AnyRow) -> StoreResult<Invite> {
    Ok(Invite {
        id: row.id("id")?,
        simulation: row.id("simulation_id")?,
        account: row.id("account_id")?,
        name: row.text("name")?,
        created_at: row.time("created_at")?,
        expires_at: row.time("expires_at")?,
    })
}
