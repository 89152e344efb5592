//! The generated form: a new simulation, and the inputs of one that exists.

use std::{collections::HashMap, sync::Arc};

use askama::Template;
use axum::{
    extract::Path,
    response::{IntoResponse, Redirect},
};
use csw_app::{AppError, ModelView, SchemaView, SimulationView, Submission};
use csw_core::simulation::SimulationStatus;
use serde_json::{Value, json};

use super::{
    form::{Form, Meta, Part, Problem, Sent, meta_of_query, read},
    page::{Page, PageError, PageResult, problems, show},
    render::{seconds, url},
    simulation::tabs,
    visitor::{Fields, Visitor},
};

#[derive(Template)]
#[template(path = "new.html")]
struct NewPage {
    page: Page,
    name: String,
    heading: String,
    tabs: Option<String>,
    action: String,
    parent: Option<u32>,
    expected: String,
    metas: Vec<Meta>,
    sections: Vec<Part>,
    problems: Vec<Problem>,
}

async fn page_of(
    visitor: &Visitor,
    view: &ModelView,
    form: Form,
    existing: Option<&SimulationView>,
) -> Result<NewPage, PageError> {
    let estimate = visitor.take(visitor.app.estimate(view).await)?;
    let name = view.model.name().to_string();
    let started = existing.is_some_and(|view| view.simulation.status == SimulationStatus::Started);
    Ok(NewPage {
        page: visitor.page(),
        heading: existing.map_or_else(|| "New simulation".to_owned(), |view| view.simulation.title.clone()),
        tabs: existing.map(|view| tabs(&view.simulation, true)),
        action: match existing {
            Some(view) if started => format!("{}edit/", url(&view.simulation)),
            _ => format!("/{name}/new/"),
        },
        parent: existing.filter(|_| !started).map(|view| view.simulation.number),
        name,
        expected: seconds(estimate.seconds),
        metas: form.metas,
        sections: form.sections,
        problems: form.problems,
    })
}

async fn schema(
    visitor: &Visitor,
    view: &ModelView,
    values: &HashMap<String, String>,
    prefix: &str,
) -> Result<Arc<SchemaView>, AppError> {
    let base = visitor.app.schema(&visitor.caller, visitor.from, view, &json!({})).await?;
    let meta = meta_of_query(&base, values, prefix);
    visitor.app.schema(&visitor.caller, visitor.from, view, &meta).await
}

pub(crate) async fn new_form(visitor: Visitor, Path((owner, title)): Path<(String, String)>) -> PageResult {
    let view = visitor.take(visitor.app.model(&visitor.caller, &owner, &title).await)?;
    let schema = visitor.take(schema(&visitor, &view, &visitor.query, "").await)?;
    warm(&visitor, &view).await;
    let form = Form::new(&schema, &json!({}), &Value::Null);
    Ok(show(&page_of(&visitor, &view, form, None).await?))
}

/// The reader's own time hides the import. For visitors who can run it only, and a failure costs time only.
async fn warm(visitor: &Visitor, view: &ModelView) {
    if visitor.caller.active().is_some()
        && let Err(error) = visitor.app.warm(view).await
    {
        tracing::debug!(%error, "no interpreter could be warmed");
    }
}

fn submission(sent: Sent, fields: &Fields) -> Submission {
    Submission {
        meta_parameters: sent.meta,
        adjustment: sent.adjustment,
        parent: fields.get("parent").parse().ok(),
        notify_on_completion: Some(fields.get("notify") == "1"),
        client: "web-beta".to_owned(),
        is_public: fields.get("public") == "1",
        fresh: fields.get("fresh") == "1",
        ..Submission::default()
    }
}

pub(crate) async fn create(
    visitor: Visitor,
    Path((owner, title)): Path<(String, String)>,
    fields: Fields,
) -> PageResult {
    let view = visitor.take(visitor.app.model(&visitor.caller, &owner, &title).await)?;
    let schema = visitor.take(schema(&visitor, &view, &fields.0, "meta:").await)?;
    let sent = read(&schema, &fields.0);
    if !sent.problems.is_empty() {
        let form = Form::new(&schema, &json!({}), &Value::Null).with_sent(&fields.0, &sent.problems);
        return Ok(show(&page_of(&visitor, &view, form, None).await?));
    }
    let submission = submission(sent, &fields);
    match visitor.app.create(&visitor.caller, visitor.from, &view, submission, None).await {
        Ok((simulation, _)) => Ok(Redirect::to(&url(&simulation)).into_response()),
        Err(AppError::Invalid { errors }) => {
            let form = refused(&schema, &fields, &errors);
            Ok(show(&page_of(&visitor, &view, form, None).await?))
        }
        Err(error) => Err(visitor.fail(error)),
    }
}

fn refused(schema: &SchemaView, fields: &Fields, errors: &Value) -> Form {
    let mut form = Form::new(schema, &json!({}), &Value::Null).with_sent(&fields.0, &HashMap::new());
    let found =
        problems(errors).into_iter().map(|(label, sentence)| Problem { anchor: String::new(), label, sentence });
    form.problems.extend(found);
    form
}

pub(crate) async fn edit_form(
    visitor: Visitor,
    Path((owner, title, number)): Path<(String, String, u32)>,
) -> PageResult {
    let simulation = visitor.take(visitor.app.simulation(&visitor.caller, &owner, &title, number).await)?;
    let view = visitor.take(visitor.app.model(&visitor.caller, &owner, &title).await)?;
    let inputs = visitor.take(visitor.app.inputs(&simulation).await)?;
    let schema = if visitor.query.is_empty() {
        visitor.app.schema(&visitor.caller, visitor.from, &view, &inputs.meta_parameters).await
    } else {
        schema(&visitor, &view, &visitor.query, "").await
    };
    let schema = match schema {
        // The saved values may be none of the live version's any more.
        Err(AppError::MetaParameters { .. }) => {
            visitor.take(visitor.app.schema(&visitor.caller, visitor.from, &view, &json!({})).await)?
        }
        other => visitor.take(other)?,
    };
    warm(&visitor, &view).await;
    let mut form = Form::new(&schema, &inputs.adjustment, &inputs.errors_warnings);
    if let Some(traceback) = inputs.traceback.filter(|_| simulation.simulation.status == SimulationStatus::Started) {
        let label = "The inputs could not be checked".to_owned();
        form.problems.push(Problem { anchor: String::new(), label, sentence: traceback });
    }
    Ok(show(&page_of(&visitor, &view, form, Some(&simulation)).await?))
}

pub(crate) async fn submit(
    visitor: Visitor,
    Path((owner, title, number)): Path<(String, String, u32)>,
    fields: Fields,
) -> PageResult {
    let simulation = visitor.take(visitor.app.simulation(&visitor.caller, &owner, &title, number).await)?;
    let view = visitor.take(visitor.app.model(&visitor.caller, &owner, &title).await)?;
    let schema = visitor.take(schema(&visitor, &view, &fields.0, "meta:").await)?;
    let sent = read(&schema, &fields.0);
    if !sent.problems.is_empty() {
        let form = Form::new(&schema, &json!({}), &Value::Null).with_sent(&fields.0, &sent.problems);
        return Ok(show(&page_of(&visitor, &view, form, Some(&simulation)).await?));
    }
    let submission = submission(sent, &fields);
    match visitor.app.submit(&visitor.caller, visitor.from, &simulation, submission).await {
        Ok((simulation, _)) => Ok(Redirect::to(&url(&simulation)).into_response()),
        Err(AppError::Invalid { errors }) => {
            let form = refused(&schema, &fields, &errors);
            Ok(show(&page_of(&visitor, &view, form, Some(&simulation)).await?))
        }
        Err(error) => Err(visitor.fail(error)),
    }
}
