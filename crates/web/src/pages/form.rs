//! The form of a model: from its input schema, and what was saved or sent, to fields on a page. [`super::sent`] is the
//! way back.

use std::{collections::HashMap, fmt::Write as _};

use csw_app::SchemaView;
use csw_params::{
    Dump, InputSchema,
    form::{Context, Field, FormParameter, Widget, fields, texts},
    validate_meta,
};
use serde_json::{Value, json};

/// A meta parameter.
pub(crate) struct Meta {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) hint: String,
    pub(crate) value: String,
    pub(crate) choices: Vec<String>,
    pub(crate) problem: String,
}

/// A part of the form, one major section and `section_1`.
pub(crate) struct Part {
    pub(crate) title: String,
    pub(crate) groups: Vec<PartGroup>,
}

pub(crate) struct PartGroup {
    pub(crate) title: String,
    pub(crate) parameters: Vec<PartParameter>,
}

pub(crate) struct PartParameter {
    pub(crate) anchor: String,
    pub(crate) title: String,
    pub(crate) hint: String,
    pub(crate) checkbox: Option<Toggle>,
    pub(crate) fields: Vec<PartField>,
    /// What the model found wrong with it.
    pub(crate) errors: Vec<String>,
    /// What the model finds odd, and takes.
    pub(crate) warnings: Vec<String>,
}

impl PartParameter {
    /// Whether its title is the name of its only field.
    pub(crate) fn is_single(&self) -> bool {
        self.fields.len() == 1
    }

    /// Identifiers of what the page says about a field.
    pub(crate) fn described_by(&self, field: &PartField) -> String {
        let Self { anchor, .. } = self;
        let parts = [
            (!self.hint.is_empty(), format!("{anchor}-h")),
            (!field.problem.is_empty(), format!("{}-p", field.id)),
            (!self.errors.is_empty(), format!("{anchor}-e")),
            (!self.warnings.is_empty(), format!("{anchor}-w")),
        ];
        parts.into_iter().filter(|(there, _)| *there).map(|(_, id)| id).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn is_wrong(&self, field: &PartField) -> bool {
        !field.problem.is_empty() || !self.errors.is_empty()
    }
}

pub(crate) struct Toggle {
    pub(crate) name: String,
    pub(crate) value: String,
    pub(crate) default: bool,
}

pub(crate) struct PartField {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) value: String,
    pub(crate) placeholder: String,
    pub(crate) choices: Vec<String>,
    pub(crate) problem: String,
}

/// Something to mend or to think about, with the place of the parameter in the page.
pub(crate) struct Problem {
    pub(crate) anchor: String,
    pub(crate) label: String,
    pub(crate) sentence: String,
}

/// A form that is filled in by what a browser sent, or by a saved adjustment.
#[derive(Default)]
pub(crate) struct Form {
    pub(crate) metas: Vec<Meta>,
    pub(crate) sections: Vec<Part>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<Problem>,
}

pub(super) fn field_name(section: usize, parameter: &str, key: &str) -> String {
    format!("v:{section}:{parameter}:{key}")
}

pub(super) fn toggle_name(section: usize, checkbox: &str) -> String {
    format!("c:{section}:{checkbox}")
}

/// The field of saved values that belong to none of the others.
pub(super) fn rest_name(section: usize, parameter: &str) -> String {
    format!("r:{section}:{parameter}")
}

/// A name as a part of an identifier in HTML, which takes no spaces.
fn slug(name: &str) -> String {
    let mut slug = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_ascii_alphanumeric() || c == '_' || c == '-' {
            slug.push(c);
        } else {
            let _ = write!(slug, ".{:x}", u32::from(c));
        }
    }
    slug
}

fn anchor(section: usize, parameter: &str) -> String {
    format!("p-{section}-{}", slug(parameter))
}

pub(super) fn context(schema: &InputSchema) -> Context {
    validate_meta(&schema.meta_parameters, &json!({}))
        .map_or_else(|_| Context::default(), |values| Context::new(&values))
}

pub(super) fn parameters(dump: &Dump, context: &Context) -> Vec<FormParameter> {
    fields(dump, context).into_iter().flat_map(|section| section.groups).flat_map(|group| group.parameters).collect()
}

impl Form {
    /// The form of a schema, showing a saved adjustment and the errors and warnings that were found in it.
    pub(crate) fn new(schema: &SchemaView, adjustment: &Value, errors_warnings: &Value) -> Self {
        let context = context(&schema.parsed);
        let many = schema.parsed.model_parameters.len() > 1;
        let mut sections = Vec::new();
        for (index, (major, dump)) in schema.parsed.model_parameters.iter().enumerate() {
            let saved = Saved { section: index, given: adjustment.get(major), found: errors_warnings.get(major) };
            for section in fields(dump, &context) {
                let title = match (many || section.title.is_empty(), section.title.is_empty()) {
                    (true, true) => major.clone(),
                    (true, false) => format!("{major}: {}", section.title),
                    (false, _) => section.title.clone(),
                };
                let groups = section.groups.iter().map(|group| PartGroup {
                    title: group.title.clone(),
                    parameters: group.parameters.iter().map(|one| saved.parameter(one)).collect(),
                });
                sections.push(Part { title, groups: groups.collect() });
            }
        }
        Self {
            metas: metas(schema),
            sections,
            problems: found(schema, errors_warnings, "errors"),
            warnings: found(schema, errors_warnings, "warnings"),
        }
    }

    fn parameters(&mut self) -> impl Iterator<Item = &mut PartParameter> {
        self.sections.iter_mut().flat_map(|part| &mut part.groups).flat_map(|group| &mut group.parameters)
    }

    /// Shows again what a browser sent, with what is wrong with it by field name.
    pub(crate) fn with_sent(mut self, sent: &HashMap<String, String>, problems: &HashMap<String, String>) -> Self {
        let mut found = Vec::new();
        for parameter in self.parameters() {
            if let Some(toggle) = &mut parameter.checkbox
                && let Some(value) = sent.get(&toggle.name)
            {
                toggle.value.clone_from(value);
            }
            for field in &mut parameter.fields {
                if let Some(value) = sent.get(&field.name) {
                    field.value.clone_from(value);
                }
                if let Some(problem) = problems.get(&field.name) {
                    field.problem.clone_from(problem);
                    found.push(Problem {
                        anchor: field.id.clone(),
                        label: parameter.title.clone(),
                        sentence: problem.clone(),
                    });
                }
            }
        }
        self.problems.extend(found);
        self
    }

    /// Shows again what a browser sent for meta parameters, with what is wrong with it by name.
    pub(crate) fn with_metas(
        mut self,
        sent: &HashMap<String, String>,
        prefix: &str,
        wrong: Vec<(String, String)>,
    ) -> Self {
        if wrong.is_empty() {
            return self;
        }
        for meta in &mut self.metas {
            if let Some(value) = sent.get(&format!("{prefix}{}", meta.name)) {
                meta.value.clone_from(value);
            }
        }
        for (name, sentence) in wrong {
            let mut problem = Problem { anchor: String::new(), label: name.clone(), sentence };
            if let Some((at, meta)) = self.metas.iter_mut().enumerate().find(|(_, meta)| meta.name == name) {
                problem.anchor = format!("m-{}", at + 1);
                meta.problem.clone_from(&problem.sentence);
                meta.title.clone_into(&mut problem.label);
            }
            self.problems.push(problem);
        }
        self
    }
}

/// What is known of the parameters of a section.
struct Saved<'a> {
    section: usize,
    given: Option<&'a Value>,
    found: Option<&'a Value>,
}

impl Saved<'_> {
    fn parameter(&self, parameter: &FormParameter) -> PartParameter {
        let given = |name: &str| self.given.and_then(|section| section.get(name)).unwrap_or(&Value::Null);
        let saved = texts(parameter, given(&parameter.name));
        let checkbox = parameter.checkbox.as_ref().map(|name| {
            let value = given(name).get(0).and_then(|vo| vo.get("value"));
            Toggle {
                name: toggle_name(self.section, name),
                value: value.and_then(Value::as_bool).map_or_else(String::new, |set| set.to_string()),
                default: parameter.indexed,
            }
        });
        let mut fields: Vec<_> = parameter.fields.iter().map(|field| self.field(parameter, field)).collect();
        for (index, (field, shown)) in parameter.fields.iter().zip(&mut fields).enumerate() {
            shown.id = format!("f-{}-{}-{index}", self.section, slug(&parameter.name));
            shown.value = saved.by_field.get(&field.key).cloned().unwrap_or_default();
        }
        if !saved.rest.is_empty() {
            let rest = saved.rest.iter().map(csw_params::ValueObject::to_json).collect();
            fields.push(self.rest(parameter, &Value::Array(rest)));
        }
        PartParameter {
            anchor: anchor(self.section, &parameter.name),
            title: parameter.title.clone(),
            hint: hint(parameter),
            checkbox,
            fields,
            errors: self.messages("errors", &parameter.name),
            warnings: self.messages("warnings", &parameter.name),
        }
    }

    fn field(&self, parameter: &FormParameter, field: &Field) -> PartField {
        PartField {
            id: String::new(),
            name: field_name(self.section, &parameter.name, &field.key),
            label: field.label_text.clone(),
            value: String::new(),
            placeholder: field.placeholder.clone(),
            choices: match &field.widget {
                Widget::Choice(choices) if field.series.is_none() => {
                    choices.iter().map(|one| one.text.clone()).collect()
                }
                _ => Vec::new(),
            },
            problem: String::new(),
        }
    }

    /// Values that were saved for labels which the form does not show.
    fn rest(&self, parameter: &FormParameter, rest: &Value) -> PartField {
        PartField {
            id: format!("f-{}-{}-rest", self.section, slug(&parameter.name)),
            name: rest_name(self.section, &parameter.name),
            label: "Further values, as JSON".to_owned(),
            value: rest.to_string(),
            placeholder: "none".to_owned(),
            choices: Vec::new(),
            problem: String::new(),
        }
    }

    fn messages(&self, kind: &str, name: &str) -> Vec<String> {
        self.found.and_then(|found| found.get(kind)?.get(name)).map(listed).unwrap_or_default()
    }
}

fn hint(parameter: &FormParameter) -> String {
    let parts = [parameter.description.as_str(), parameter.notes.as_str(), &bounds(parameter)];
    let parts = parts.map(str::trim);
    parts.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ")
}

fn bounds(parameter: &FormParameter) -> String {
    let Some(field) = parameter.fields.first() else { return String::new() };
    let widget = match &field.widget {
        Widget::List(inner) => inner,
        other => other,
    };
    let list = match (&field.widget, field.series.is_some()) {
        (Widget::List(_), _) => " Values separated by commas.",
        (_, true) => " One value, or several for consecutive years: 1,*,3.",
        (Widget::Table, _) => " A table, written as JSON: [[1, 2], [3, 4]].",
        _ => "",
    };
    let range = match widget {
        Widget::Number { min, max, .. } => match (min.map(number), max.map(number)) {
            (Some(min), Some(max)) => format!("From {min} to {max}."),
            (Some(min), None) => format!("At least {min}."),
            (None, Some(max)) => format!("At most {max}."),
            (None, None) => String::new(),
        },
        Widget::Date { min: Some(min), max: Some(max) } => format!("From {min} to {max}."),
        Widget::Date { .. } => "A date: YYYY-MM-DD.".to_owned(),
        _ => String::new(),
    };
    format!("{range}{list}").trim().to_owned()
}

/// A bound for people: long ones in groups of three digits.
fn number(bound: f64) -> String {
    let text = bound.to_string();
    let (whole, rest) = text.split_once('.').map_or((text.as_str(), ""), |(whole, _)| (whole, &text[whole.len()..]));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    if digits.len() < 5 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return text;
    }
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    format!("{sign}{}{rest}", groups.join(","))
}

fn metas(schema: &SchemaView) -> Vec<Meta> {
    parameters(&schema.parsed.meta_parameters, &Context::default())
        .into_iter()
        .map(|parameter| {
            let field = parameter.fields.first();
            Meta {
                choices: match field.map(|field| &field.widget) {
                    Some(Widget::Choice(choices)) => choices.iter().map(|one| one.text.clone()).collect(),
                    _ => Vec::new(),
                },
                value: field.map(|field| field.placeholder.clone()).unwrap_or_default(),
                title: parameter.title,
                hint: parameter.description,
                name: parameter.name,
                problem: String::new(),
            }
        })
        .collect()
}

/// Messages of a model; some use shapes that are no lists of texts.
fn listed(messages: &Value) -> Vec<String> {
    let text = |message: &Value| message.as_str().map_or_else(|| message.to_string(), str::to_owned);
    match messages {
        Value::Array(list) => list.iter().map(text).collect(),
        other => vec![text(other)],
    }
}

/// Errors or warnings as the model worded them, those of parameters that the form does not show among them.
fn found(schema: &SchemaView, errors_warnings: &Value, kind: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let Some(sections) = errors_warnings.as_object() else { return problems };
    for (section, found) in sections {
        let index = schema.parsed.model_parameters.get_index_of(section);
        let Some(parameters) = found.get(kind).and_then(Value::as_object) else { continue };
        for (name, messages) in parameters {
            let known = schema.parsed.model_parameters.get(section).and_then(|dump| dump.get(name));
            problems.extend(listed(messages).into_iter().map(|sentence| Problem {
                anchor: match (index, known) {
                    (Some(index), Some(_)) => anchor(index, name),
                    _ => String::new(),
                },
                label: known.map_or_else(|| format!("{section}, {name}"), |parameter| parameter.title.clone()),
                sentence,
            }));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_take_any_name() {
        assert_eq!(anchor(0, "rate"), "p-0-rate");
        assert!(!anchor(1, "a b\"c").contains([' ', '"']));
        assert_ne!(anchor(1, "a b"), anchor(1, "a.20b"));
    }

    #[test]
    fn long_bounds_can_be_read() {
        let texts = [1000.0, 100_000.0, -12_345.5, 0.25, 1e7].map(number);
        assert_eq!(texts, ["1000", "100,000", "-12,345.5", "0.25", "10,000,000"]);
    }

    #[test]
    fn messages_of_any_shape_are_shown() {
        assert_eq!(listed(&json!(["a", 1])), ["a", "1"]);
        assert_eq!(listed(&json!({"0": ["b"]})), ["{\"0\":[\"b\"]}"]);
    }
}
