//! The generated form: a new simulation, and the inputs of one that exists.

use std::{collections::HashMap, sync::Arc};

use askama::Template;
use csw_app::{AppError, ModelView, SchemaView, SimulationView, Submission};
use csw_core::simulation::SimulationStatus;
use serde_json::{Value, json};

use super::{
    actions::{At, find},
    form::{Form, Problem},
    head::{Head, Tab},
    page::{Page, PageError, PageResult, go, problems, show},
    render::{seconds, url},
    sent::{changed, meta_of_query, read},
    visitor::{Fields, Place, Visitor},
};

#[derive(Template)]
#[template(path = "new.html")]
struct NewPage {
    page: Page,
    name: String,
    head: Option<Head>,
    action: String,
    parent: Option<u32>,
    expected: String,
    form: Form,
    /// Whether the visitor may send it.
    may_run: bool,
    /// Whether it goes into a simulation that waits for it, instead of a new one.
    submits: bool,
    title: String,
    notify: bool,
    public: bool,
    fresh: bool,
}

async fn page_of(
    visitor: &Visitor,
    view: &ModelView,
    form: Form,
    existing: Option<&SimulationView>,
) -> Result<NewPage, AppError> {
    let estimate = visitor.app.estimate(view).await?;
    let name = view.model.name().to_string();
    let head = match existing {
        Some(simulation) => Some(Head::new(visitor, simulation, Tab::Inputs).await?),
        None => None,
    };
    // Only its writers submit one that waits for inputs; everybody else makes their own from it.
    let waits = existing.filter(|view| view.simulation.status == SimulationStatus::Started);
    let waits = waits.filter(|_| head.as_ref().is_some_and(|head| head.writer));
    Ok(NewPage {
        page: visitor.page(),
        head,
        action: waits.map_or_else(|| format!("/{name}/new/"), |view| format!("{}edit/", url(&view.simulation))),
        submits: waits.is_some(),
        parent: existing.filter(|_| waits.is_none()).map(|view| view.simulation.number),
        name,
        expected: seconds(estimate.seconds),
        form,
        may_run: visitor.caller.active().is_some(),
        title: String::new(),
        notify: false,
        public: false,
        fresh: false,
    })
}

/// The schema that a visitor asks for, or the default one and what is wrong with what they asked for.
struct Asked {
    schema: Arc<SchemaView>,
    wrong: Vec<(String, String)>,
}

async fn schema(
    visitor: &Visitor,
    view: &ModelView,
    values: &HashMap<String, String>,
    prefix: &str,
) -> Result<Asked, AppError> {
    let base = visitor.app.schema(&visitor.caller, visitor.from, view, &json!({})).await?;
    let meta = meta_of_query(&base, values, prefix);
    match visitor.app.schema(&visitor.caller, visitor.from, view, &meta).await {
        Ok(schema) => Ok(Asked { schema, wrong: Vec::new() }),
        Err(AppError::MetaParameters { errors }) => Ok(Asked { schema: base, wrong: problems(&errors) }),
        Err(error) => Err(error),
    }
}

pub(crate) async fn new_form(visitor: Visitor, Place((owner, title)): Place<(String, String)>) -> PageResult {
    let view = visitor.take(visitor.app.model(&visitor.caller, &owner, &title).await)?;
    let asked = visitor.take(schema(&visitor, &view, &visitor.query, "").await)?;
    warm(&visitor, &view).await;
    let form = Form::new(&asked.schema, &json!({}), &Value::Null).with_metas(&visitor.query, "", asked.wrong);
    Ok(show(&visitor.take(page_of(&visitor, &view, form, None).await)?))
}

/// The reader's own time hides the import. For visitors who can run it only, and a failure costs time only.
async fn warm(visitor: &Visitor, view: &ModelView) {
    if visitor.caller.active().is_some()
        && let Err(error) = visitor.app.warm(view).await
    {
        tracing::debug!(%error, "no interpreter could be warmed");
    }
}

/// What to do with a form that was sent.
enum Wish {
    Show(Box<Form>),
    Run(Box<Submission>, Arc<SchemaView>),
}

async fn wish(visitor: &Visitor, view: &ModelView, fields: &Fields) -> Result<Wish, AppError> {
    let Asked { schema, wrong } = schema(visitor, view, &fields.0, "meta:").await?;
    let sent = read(&schema, &fields.0);
    let only_show = !fields.get("show").is_empty() || changed(&fields.0);
    if only_show || !wrong.is_empty() || !sent.problems.is_empty() {
        let form = Form::new(&schema, &json!({}), &Value::Null);
        let form = form.with_metas(&fields.0, "meta:", wrong).with_sent(&fields.0, &sent.problems);
        return Ok(Wish::Show(Box::new(form)));
    }
    let submission = Submission {
        meta_parameters: sent.meta,
        adjustment: sent.adjustment,
        parent: fields.get("parent").parse().ok(),
        notify_on_completion: Some(fields.is_set("notify")),
        client: "web-beta".to_owned(),
        title: Some(fields.get("title").trim().to_owned()).filter(|title| !title.is_empty()),
        is_public: fields.is_set("public"),
        fresh: fields.is_set("fresh"),
        ..Submission::default()
    };
    Ok(Wish::Run(Box::new(submission), schema))
}

/// The form again, with what was sent.
async fn again(
    visitor: &Visitor,
    view: &ModelView,
    form: Form,
    fields: &Fields,
    existing: Option<&SimulationView>,
) -> PageResult {
    let mut page = visitor.take(page_of(visitor, view, form, existing).await)?;
    fields.get("title").clone_into(&mut page.title);
    page.notify = fields.is_set("notify");
    page.public = fields.is_set("public");
    page.fresh = fields.is_set("fresh");
    page.parent = page.parent.or_else(|| fields.get("parent").parse().ok());
    if page.form.problems.is_empty() && changed(&fields.0) {
        let sentence = "The settings changed, and with them the defaults. Have a look, then run it.";
        page.page.notice = Some(sentence.to_owned());
    }
    Ok(show(&page))
}

fn refused(schema: &SchemaView, fields: &Fields, errors: &Value) -> Form {
    let mut form = Form::new(schema, &json!({}), &Value::Null).with_sent(&fields.0, &HashMap::new());
    let found =
        problems(errors).into_iter().map(|(label, sentence)| Problem { anchor: String::new(), label, sentence });
    form.problems.extend(found);
    form
}

pub(crate) async fn create(
    visitor: Visitor,
    Place((owner, title)): Place<(String, String)>,
    fields: Fields,
) -> PageResult {
    let view = visitor.take(visitor.app.model(&visitor.caller, &owner, &title).await)?;
    let (submission, schema) = match visitor.take(wish(&visitor, &view, &fields).await)? {
        Wish::Show(form) => return again(&visitor, &view, *form, &fields, None).await,
        Wish::Run(submission, schema) => (submission, schema),
    };
    match visitor.app.create(&visitor.caller, visitor.from, &view, *submission, None).await {
        Ok((simulation, _)) => Ok(go(&url(&simulation))),
        Err(AppError::Invalid { errors }) => {
            again(&visitor, &view, refused(&schema, &fields, &errors), &fields, None).await
        }
        Err(error) => Err(visitor.fail(error)),
    }
}

pub(crate) async fn edit_form(visitor: Visitor, at: At) -> PageResult {
    let simulation = find(&visitor, &at).await?;
    let Place((owner, title, _)) = &at;
    let view = visitor.take(visitor.app.model(&visitor.caller, owner, title).await)?;
    let form = edited(&visitor, &view, &simulation).await?;
    warm(&visitor, &view).await;
    Ok(show(&visitor.take(page_of(&visitor, &view, form, Some(&simulation)).await)?))
}

async fn edited(visitor: &Visitor, view: &ModelView, simulation: &SimulationView) -> Result<Form, PageError> {
    let app = &visitor.app;
    let inputs = &simulation.inputs;
    let saved = app.schema(&visitor.caller, visitor.from, view, &inputs.meta_parameters).await;
    let (schema, wrong) = match saved {
        // The saved values may be none of the live version's any more.
        Err(AppError::MetaParameters { errors }) => {
            let base = visitor.take(app.schema(&visitor.caller, visitor.from, view, &json!({})).await)?;
            (base, problems(&errors))
        }
        other => (visitor.take(other)?, Vec::new()),
    };
    let form = Form::new(&schema, &inputs.adjustment, &inputs.errors_warnings);
    let mut form = form.with_metas(&HashMap::new(), "", wrong);
    if let Some(traceback) =
        inputs.traceback.clone().filter(|_| simulation.simulation.status == SimulationStatus::Started)
    {
        let label = "The inputs could not be checked".to_owned();
        form.problems.push(Problem { anchor: String::new(), label, sentence: traceback });
    }
    Ok(form)
}

pub(crate) async fn submit(visitor: Visitor, at: At, fields: Fields) -> PageResult {
    let simulation = find(&visitor, &at).await?;
    let Place((owner, title, _)) = &at;
    let view = visitor.take(visitor.app.model(&visitor.caller, owner, title).await)?;
    let (submission, schema) = match visitor.take(wish(&visitor, &view, &fields).await)? {
        Wish::Show(form) => return again(&visitor, &view, *form, &fields, Some(&simulation)).await,
        Wish::Run(submission, schema) => (submission, schema),
    };
    match visitor.app.submit(&visitor.caller, visitor.from, &simulation, *submission).await {
        Ok((simulation, _)) => Ok(go(&url(&simulation))),
        Err(AppError::Invalid { errors }) => {
            again(&visitor, &view, refused(&schema, &fields, &errors), &fields, Some(&simulation)).await
        }
        Err(error) => Err(visitor.fail(error)),
    }
}
