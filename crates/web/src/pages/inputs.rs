//! The generated form: a new simulation, and the inputs of one that exists.

use std::{collections::HashMap, sync::Arc};

use askama::Template;
use csw_app::{AppError, ModelView, SchemaView, SimulationView, Submission};
use csw_core::{
    ids::VersionId,
    model::{Version, VersionState},
    simulation::SimulationStatus,
};
use serde_json::{Value, json};

use super::{
    actions::{At, find},
    form::{Form, Problem},
    head::{Head, Tab},
    page::{Page, PageError, PageResult, go, problems, show},
    render::{expected_cost, first_line, seconds, url},
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
    /// A version other than the live one.
    version: Option<OtherVersion>,
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

struct OtherVersion {
    id: String,
    reported: String,
    staged: bool,
}

impl OtherVersion {
    fn of(version: &Version) -> Self {
        Self {
            id: version.id.to_string(),
            reported: first_line(&version.reported),
            staged: version.state == VersionState::Staged,
        }
    }
}

/// Of whose form a page is, with the version that was asked for, if it is not the live one.
struct Of {
    view: ModelView,
    version: Option<Version>,
}

impl Of {
    /// `version` is the identifier of one, or nothing.
    async fn find(visitor: &Visitor, owner: &str, title: &str, version: &str) -> Result<Self, PageError> {
        let view = visitor.take(visitor.app.model(&visitor.caller, owner, title).await)?;
        if version.is_empty() {
            return Ok(Self { view, version: None });
        }
        let id: Option<VersionId> = version.parse().ok();
        let known = visitor.take(visitor.app.versions(&view).await)?;
        match known.into_iter().find(|version| Some(version.id) == id) {
            Some(version) if view.model.live_version == Some(version.id) => Ok(Self { view, version: None }),
            Some(version) => Ok(Self { view, version: Some(version) }),
            None => Err(visitor.fail(AppError::missing("the version"))),
        }
    }

    fn id(&self) -> Option<VersionId> {
        self.version.as_ref().map(|version| version.id)
    }
}

/// The name by which a query and a form name a version: no parameter of a model begins so.
const VERSION: &str = "_version";

async fn page_of(
    visitor: &Visitor,
    of: &Of,
    form: Form,
    existing: Option<&SimulationView>,
) -> Result<NewPage, AppError> {
    let view = &of.view;
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
        version: of.version.as_ref().map(OtherVersion::of),
        name,
        expected: match expected_cost(&estimate) {
            Some(cost) => format!("{}, {cost}", seconds(estimate.seconds)),
            None => seconds(estimate.seconds),
        },
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

async fn schema(visitor: &Visitor, of: &Of, values: &HashMap<String, String>, prefix: &str) -> Result<Asked, AppError> {
    let base = visitor.app.schema(visitor.from, &of.view, of.id(), &json!({})).await?;
    let meta = meta_of_query(&base, values, prefix);
    match visitor.app.schema(visitor.from, &of.view, of.id(), &meta).await {
        Ok(schema) => Ok(Asked { schema, wrong: Vec::new() }),
        Err(AppError::MetaParameters { errors }) => Ok(Asked { schema: base, wrong: problems(&errors) }),
        Err(error) => Err(error),
    }
}

pub(crate) async fn new_form(visitor: Visitor, Place((owner, title)): Place<(String, String)>) -> PageResult {
    let version = visitor.query.get(VERSION).map(String::as_str).unwrap_or_default();
    let of = Of::find(&visitor, &owner, &title, version).await?;
    let asked = visitor.take(schema(&visitor, &of, &visitor.query, "").await)?;
    warm(&visitor, &of).await;
    let form = Form::new(&asked.schema, &json!({}), &Value::Null).with_metas(&visitor.query, "", asked.wrong);
    Ok(show(&visitor.take(page_of(&visitor, &of, form, None).await)?))
}

/// The reader's own time hides the import. For visitors who can run it only, and a failure costs time only.
async fn warm(visitor: &Visitor, of: &Of) {
    if visitor.caller.active().is_some()
        && let Err(error) = visitor.app.warm(&of.view, of.id()).await
    {
        tracing::debug!(%error, "no interpreter could be warmed");
    }
}

/// What to do with a form that was sent.
enum Wish {
    Show(Box<Form>),
    Run(Box<Submission>, Arc<SchemaView>),
}

async fn wish(visitor: &Visitor, of: &Of, fields: &Fields) -> Result<Wish, AppError> {
    let Asked { schema, wrong } = schema(visitor, of, &fields.0, "meta:").await?;
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
        version: of.id(),
    };
    Ok(Wish::Run(Box::new(submission), schema))
}

/// The form again, with what was sent.
async fn again(
    visitor: &Visitor,
    of: &Of,
    form: Form,
    fields: &Fields,
    existing: Option<&SimulationView>,
) -> PageResult {
    let mut page = visitor.take(page_of(visitor, of, form, existing).await)?;
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
    let of = Of::find(&visitor, &owner, &title, fields.get(VERSION)).await?;
    let (submission, schema) = match visitor.take(wish(&visitor, &of, &fields).await)? {
        Wish::Show(form) => return again(&visitor, &of, *form, &fields, None).await,
        Wish::Run(submission, schema) => (submission, schema),
    };
    match visitor.app.create(&visitor.caller, visitor.from, &of.view, *submission, None).await {
        Ok((simulation, _)) => Ok(go(&url(&simulation))),
        Err(AppError::Invalid { errors }) => {
            again(&visitor, &of, refused(&schema, &fields, &errors), &fields, None).await
        }
        Err(error) => Err(visitor.fail(error)),
    }
}

pub(crate) async fn edit_form(visitor: Visitor, at: At) -> PageResult {
    let simulation = find(&visitor, &at).await?;
    let Place((owner, title, _)) = &at;
    let of = Of::find(&visitor, owner, title, "").await?;
    let form = edited(&visitor, &of.view, &simulation).await?;
    warm(&visitor, &of).await;
    Ok(show(&visitor.take(page_of(&visitor, &of, form, Some(&simulation)).await)?))
}

async fn edited(visitor: &Visitor, view: &ModelView, simulation: &SimulationView) -> Result<Form, PageError> {
    let app = &visitor.app;
    let inputs = &simulation.inputs;
    let saved = app.schema(visitor.from, view, None, &inputs.meta_parameters).await;
    let (schema, wrong) = match saved {
        // The saved values may be none of the live version's any more.
        Err(AppError::MetaParameters { errors }) => {
            let base = visitor.take(app.schema(visitor.from, view, None, &json!({})).await)?;
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
    let of = Of::find(&visitor, owner, title, fields.get(VERSION)).await?;
    let (submission, schema) = match visitor.take(wish(&visitor, &of, &fields).await)? {
        Wish::Show(form) => return again(&visitor, &of, *form, &fields, Some(&simulation)).await,
        Wish::Run(submission, schema) => (submission, schema),
    };
    match visitor.app.submit(&visitor.caller, visitor.from, &simulation, *submission).await {
        Ok((simulation, _)) => Ok(go(&url(&simulation))),
        Err(AppError::Invalid { errors }) => {
            again(&visitor, &of, refused(&schema, &fields, &errors), &fields, Some(&simulation)).await
        }
        Err(error) => Err(visitor.fail(error)),
    }
}
