//! What a page needs to show the parameters of one section of a model and to read them back.
//!
//! [`fields`] groups the parameters and gives one [`Field`] per default value object. [`texts`] writes
//! a saved adjustment into the fields, [`parse`] reads a field's text. What was saved is never
//! changed by showing it: a value that the short notation cannot express is shown as the JSON list of
//! its value objects, which [`parse`] takes too.

mod key;
mod split;
mod text;

use std::sync::Arc;

use indexmap::IndexMap;
use serde_json::Value;

pub use text::{FieldError, Texts, parse, texts};

use crate::{
    coerce::{self, Reading},
    datum::Datum,
    dump::{Dump, Parameter},
    labels,
    meta::MetaValues,
    schema::ParamType,
    validator::{Bound, Level, Validator},
    vo::ValueObject,
};

/// Bounds at least this large mean "no bound".
const INFINITE: f64 = 9e99;
/// How far a series may go where the label itself sets no limit.
const OPEN_SERIES: i128 = 100;

/// The meta parameter values a form is shown for.
#[derive(Debug, Clone, Default)]
pub struct Context {
    meta: IndexMap<String, Value>,
}

impl Context {
    /// The form for these values.
    pub fn new(values: &MetaValues) -> Self {
        let meta = values.iter().filter_map(|(name, vos)| Some((name.clone(), vos.first()?.value.clone()))).collect();
        Self { meta }
    }
}

/// Parameters with the same `section_1`.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// The title; empty where the parameters name none.
    pub title: String,
    /// Its groups in order of first appearance.
    pub groups: Vec<Group>,
}

/// Parameters with the same `section_1` and `section_2`.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The title; empty where the parameters name none.
    pub title: String,
    /// Its parameters in order of first appearance.
    pub parameters: Vec<FormParameter>,
}

/// One parameter with its fields.
#[derive(Debug, Clone, PartialEq)]
pub struct FormParameter {
    /// Its name in the adjustment.
    pub name: String,
    /// What people call it.
    pub title: String,
    /// What it means.
    pub description: String,
    /// Remarks.
    pub notes: String,
    /// The type of its values.
    pub kind: ParamType,
    /// 0 for a scalar, 1 for a list, and so on.
    pub number_dims: u32,
    /// The name under which the indexing toggle is stored, where there is one.
    pub checkbox: Option<String>,
    /// Whether its values are indexed by default: what the toggle shows when untouched.
    pub indexed: bool,
    /// One field per default value object.
    pub fields: Vec<Field>,
}

/// One input field.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Unique within the parameter and safe in HTML: sorted `label__value` pairs joined by `___`,
    /// or `nolabels`.
    pub key: String,
    /// The labels of the values entered here, typed as the schema says.
    pub labels: IndexMap<String, Value>,
    /// Those of the labels that follow a meta parameter: a saved value may lack them.
    pub meta_labels: Vec<String>,
    /// The label values to show beside the field; meta parameters are left out.
    pub label_text: String,
    /// What to draw.
    pub widget: Widget,
    /// The default, as text.
    pub placeholder: String,
    /// The default.
    pub default: Value,
    /// Present where the field takes values for consecutive label values: `1,*,3`.
    pub series: Option<Series>,
}

/// The label values a comma list runs along.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The label, usually `year`.
    pub label: String,
    /// Its values in order.
    pub grid: Arc<[Value]>,
    /// Where in the grid a list begins.
    pub start: usize,
}

/// A value to choose and how it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The value.
    pub value: Value,
    /// Its text, which [`parse`] reads back.
    pub text: String,
}

/// How a field is drawn. A field with a series is a text box whatever the widget, with the
/// widget's choices as suggestions.
#[derive(Debug, Clone, PartialEq)]
pub enum Widget {
    /// A drop-down. Leaving it at nothing means the default.
    Choice(Vec<Choice>),
    /// A number; bounds that refer to other parameters or only warn are not in it.
    Number {
        /// Whole numbers only.
        integer: bool,
        /// Smallest value.
        min: Option<f64>,
        /// Largest value.
        max: Option<f64>,
        /// Distance between values.
        step: Option<f64>,
    },
    /// A date `YYYY-MM-DD`.
    Date {
        /// First day.
        min: Option<String>,
        /// Last day.
        max: Option<String>,
    },
    /// Text.
    Text,
    /// A list, written with commas; each element as the inner widget.
    List(Box<Widget>),
    /// An array of two or more dimensions, written as JSON.
    Table,
}

/// The form of one section of the model, grouped in order of first appearance.
pub fn fields(dump: &Dump, context: &Context) -> Vec<Section> {
    let grid = series_grid(dump, context);
    let mut sections: Vec<Section> = Vec::new();
    for (name, parameter) in dump.parameters() {
        let (one, two) = (parameter.text("section_1"), parameter.text("section_2"));
        let section = find_or_add(
            &mut sections,
            |section| section.title == one,
            || Section { title: one.to_owned(), groups: Vec::new() },
        );
        let group = find_or_add(
            &mut section.groups,
            |group| group.title == two,
            || Group { title: two.to_owned(), parameters: Vec::new() },
        );
        group.parameters.push(form_parameter(dump, context, grid.as_ref(), name, parameter));
    }
    sections
}

fn find_or_add<T>(list: &mut Vec<T>, is_it: impl Fn(&T) -> bool, make: impl FnOnce() -> T) -> &mut T {
    let at = list.iter().position(is_it).unwrap_or_else(|| {
        list.push(make());
        list.len() - 1
    });
    &mut list[at]
}

fn form_parameter(
    dump: &Dump,
    context: &Context,
    grid: Option<&(String, Arc<[Value]>)>,
    name: &str,
    parameter: &Parameter,
) -> FormParameter {
    let widget = widget(dump, parameter);
    let mut fields: Vec<Field> = Vec::new();
    for vo in parameter.values() {
        let series = grid.and_then(|(label, grid)| series(context, parameter, vo, label, grid));
        let labels = field_labels(dump, context, vo, series.as_ref());
        let mut key = key::of(&labels);
        let twins = fields.iter().filter(|field| field.labels == labels).count();
        if twins > 0 {
            key = format!("{key}~{}", twins + 1);
        }
        let shown = labels.iter().filter(|(label, _)| !context.meta.contains_key(*label));
        let label_text: Vec<_> = shown.map(|(_, value)| Datum::from_json(value).str()).collect();
        fields.push(Field {
            key,
            meta_labels: labels.keys().filter(|label| context.meta.contains_key(*label)).cloned().collect(),
            label_text: label_text.join(", "),
            labels,
            widget: widget.clone(),
            placeholder: text::of_value(parameter.number_dims, &vo.value),
            default: vo.value.clone(),
            series,
        });
    }
    FormParameter {
        name: name.to_owned(),
        title: parameter.title.clone(),
        description: parameter.description.clone(),
        notes: parameter.notes.clone(),
        kind: parameter.kind.clone(),
        number_dims: parameter.number_dims,
        checkbox: parameter.has_checkbox().then(|| format!("{name}_checkbox")),
        indexed: parameter.indexed,
        fields,
    }
}

/// The labels of what is entered: those of the default, with the current value of a label that is
/// also a meta parameter.
fn field_labels(dump: &Dump, context: &Context, vo: &ValueObject, series: Option<&Series>) -> IndexMap<String, Value> {
    let typed = |name: &str, raw: &Value| {
        dump.schema()
            .labels
            .get(name)
            .and_then(|label| coerce::label(&label.kind, raw, Reading::LOOSE).ok())
            .map_or_else(|| raw.clone(), |datum| datum.to_json())
    };
    vo.labels
        .iter()
        .map(|(name, raw)| {
            let value = match series {
                Some(series) if series.label == *name => series.grid[series.start].clone(),
                // A parameter with values for several years shows each of them.
                _ if dump.schema().operators.label_to_extend.as_ref() == Some(name) => typed(name, raw),
                _ => typed(name, context.meta.get(name).unwrap_or(raw)),
            };
            (name.clone(), value)
        })
        .collect()
}

/// The label along which fields accept lists, and its values.
fn series_grid(dump: &Dump, context: &Context) -> Option<(String, Arc<[Value]>)> {
    let known = &dump.schema().labels;
    let extended = dump.schema().operators.label_to_extend.as_deref();
    let by_convention = context.meta.contains_key("year").then_some("year");
    let name =
        extended.filter(|name| known.contains_key(*name)).or(by_convention.filter(|name| known.contains_key(*name)))?;
    let label = &known[name];
    let mut grid = labels::grid(label);
    if grid.is_empty()
        && let Some(Datum::Int(at)) = context.meta.get(name).map(Datum::from_json)
    {
        let last = at.saturating_add(OPEN_SERIES);
        grid = (at.saturating_sub(OPEN_SERIES)..=last).map(Datum::Int).collect();
    }
    Some((name.to_owned(), grid.iter().map(Datum::to_json).collect()))
}

fn series(
    context: &Context,
    parameter: &Parameter,
    vo: &ValueObject,
    label: &str,
    grid: &Arc<[Value]>,
) -> Option<Series> {
    let own = vo.labels.get(label)?;
    let others = |vo: &ValueObject| -> IndexMap<String, Value> {
        vo.labels.iter().filter(|(name, _)| *name != label).map(|(k, v)| (k.clone(), v.clone())).collect()
    };
    let rest = others(vo);
    if parameter.values().iter().filter(|other| others(other) == rest).count() > 1 {
        return None;
    }
    let place = |value: &Value| {
        let value = Datum::from_json(value);
        grid.iter().position(|at| text::same_label(&Datum::from_json(at), &value))
    };
    let start = context.meta.get(label).and_then(place).or_else(|| place(own))?;
    Some(Series { label: label.to_owned(), grid: Arc::clone(grid), start })
}

fn widget(dump: &Dump, parameter: &Parameter) -> Widget {
    let element = element_widget(dump, parameter);
    match parameter.number_dims {
        0 => element,
        1 => Widget::List(Box::new(element)),
        _ => Widget::Table,
    }
}

fn element_widget(dump: &Dump, parameter: &Parameter) -> Widget {
    let choices = parameter.validators.iter().find_map(|validator| match validator {
        Validator::Choice { choices, level: Level::Error } => Some(choices),
        _ => None,
    });
    if let Some(choices) = choices {
        return Widget::Choice(choices.iter().map(choice).collect());
    }
    let bound = parameter.validators.iter().find_map(|validator| match validator {
        Validator::Range(bound) | Validator::DateRange(bound) if bound.level == Level::Error => Some(bound),
        _ => None,
    });
    match &parameter.kind {
        ParamType::Bool => Widget::Choice([true, false].map(|flag| choice(&Value::Bool(flag))).into()),
        ParamType::Int | ParamType::Float => number(parameter, bound),
        ParamType::Date => {
            let day = |limit: &Option<Value>| {
                let text = limit.as_ref()?.as_str().filter(|text| dump.get(text).is_none())?;
                Some(coerce::parse_date(text, Reading::FIRST_PASS)?.to_string())
            };
            Widget::Date { min: bound.and_then(|bound| day(&bound.min)), max: bound.and_then(|bound| day(&bound.max)) }
        }
        ParamType::Str | ParamType::Other(_) => Widget::Text,
    }
}

fn number(parameter: &Parameter, bound: Option<&Bound>) -> Widget {
    let finite = |limit: &Option<Value>| limit.as_ref().and_then(Value::as_f64).filter(|limit| limit.abs() < INFINITE);
    Widget::Number {
        integer: parameter.kind == ParamType::Int,
        min: bound.and_then(|bound| finite(&bound.min)),
        max: bound.and_then(|bound| finite(&bound.max)),
        step: bound.and_then(|bound| finite(&bound.step)),
    }
}

fn choice(value: &Value) -> Choice {
    Choice { value: value.clone(), text: Datum::from_json(value).str() }
}

#[cfg(test)]
mod tests;
