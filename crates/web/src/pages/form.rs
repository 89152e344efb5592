//! The form of a model: from its input schema to fields, and from what a browser sends back to an adjustment.

use std::collections::HashMap;

use csw_app::SchemaView;
use csw_params::{
    Dump, InputSchema,
    form::{Context, FormParameter, Widget, fields, parse, texts},
    validate_meta,
};
use serde_json::{Map, Value, json};

/// A meta parameter.
pub(crate) struct Meta {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) hint: String,
    pub(crate) value: String,
    pub(crate) choices: Vec<String>,
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

/// Something to mend, with the place of the parameter in the page.
pub(crate) struct Problem {
    pub(crate) anchor: String,
    pub(crate) label: String,
    pub(crate) sentence: String,
}

/// A form that is filled in by what a browser sent, or by a saved adjustment.
pub(crate) struct Form {
    pub(crate) metas: Vec<Meta>,
    pub(crate) sections: Vec<Part>,
    pub(crate) problems: Vec<Problem>,
}

/// What a browser sent, as an adjustment.
pub(crate) struct Sent {
    pub(crate) meta: Value,
    pub(crate) adjustment: Value,
    /// By field name.
    pub(crate) problems: HashMap<String, String>,
}

fn field_name(section: usize, parameter: &str, key: &str) -> String {
    format!("v:{section}:{parameter}:{key}")
}

fn toggle_name(section: usize, checkbox: &str) -> String {
    format!("c:{section}:{checkbox}")
}

fn anchor(section: usize, parameter: &str) -> String {
    format!("p-{section}-{parameter}")
}

fn context(schema: &InputSchema) -> Context {
    validate_meta(&schema.meta_parameters, &json!({}))
        .map_or_else(|_| Context::default(), |values| Context::new(&values))
}

/// Meta parameters of a query such as `?year=2026`, as a request for a schema. Names the model does not have are left out.
pub(crate) fn meta_of_query(base: &SchemaView, query: &HashMap<String, String>, prefix: &str) -> Value {
    let mut meta = Map::new();
    for (name, parameter) in base.parsed.meta_parameters.parameters() {
        if let Some(text) = query.get(&format!("{prefix}{name}")) {
            meta.insert(name.clone(), typed(parameter.kind.name(), parameter.number_dims, text));
        }
    }
    Value::Object(meta)
}

fn typed(kind: &str, dims: u32, text: &str) -> Value {
    if dims > 0 {
        return serde_json::from_str(text)
            .unwrap_or_else(|_| Value::Array(text.split(',').map(|part| typed(kind, 0, part.trim())).collect()));
    }
    match kind {
        "bool" => match text.to_lowercase().as_str() {
            "true" => json!(true),
            "false" => json!(false),
            _ => json!(text),
        },
        "int" => text.trim().parse::<i64>().map_or_else(|_| json!(text), |number| json!(number)),
        "float" => text.trim().parse::<f64>().map_or_else(|_| json!(text), |number| json!(number)),
        _ => json!(text),
    }
}

/// Reads what a browser sent.
pub(crate) fn read(schema: &SchemaView, sent: &HashMap<String, String>) -> Sent {
    let context = context(&schema.parsed);
    let mut adjustment = Map::new();
    let mut problems = HashMap::new();
    for (index, (section, dump)) in schema.parsed.model_parameters.iter().enumerate() {
        let mut given = Map::new();
        for parameter in parameters(dump, &context) {
            let mut vos = Vec::new();
            for field in &parameter.fields {
                let name = field_name(index, &parameter.name, &field.key);
                match sent.get(&name).map(|text| parse(&parameter, field, text)) {
                    Some(Ok(parsed)) => vos.extend(parsed.iter().map(csw_params::ValueObject::to_json)),
                    Some(Err(error)) => {
                        problems.insert(name, error.to_string());
                    }
                    None => {}
                }
            }
            if let Some(rest) = sent.get(&format!("r:{index}:{}", parameter.name))
                && let Ok(Value::Array(rest)) = serde_json::from_str(rest)
            {
                vos.extend(rest);
            }
            if !vos.is_empty() {
                given.insert(parameter.name.clone(), Value::Array(vos));
            }
            if let Some(checkbox) = &parameter.checkbox
                && let Some(text) = sent.get(&toggle_name(index, checkbox)).filter(|text| !text.is_empty())
            {
                given.insert(checkbox.clone(), json!([{ "value": text == "true" }]));
            }
        }
        adjustment.insert(section.clone(), Value::Object(given));
    }
    Sent { meta: schema.meta_values.clone(), adjustment: Value::Object(adjustment), problems }
}

fn parameters(dump: &Dump, context: &Context) -> Vec<FormParameter> {
    fields(dump, context).into_iter().flat_map(|section| section.groups).flat_map(|group| group.parameters).collect()
}

impl Form {
    /// The form of a schema, showing a saved adjustment and the errors and warnings that were found in it.
    pub(crate) fn new(schema: &SchemaView, adjustment: &Value, errors_warnings: &Value) -> Self {
        let context = context(&schema.parsed);
        let mut sections = Vec::new();
        let many = schema.parsed.model_parameters.len() > 1;
        for (index, (major, dump)) in schema.parsed.model_parameters.iter().enumerate() {
            let given = adjustment.get(major).cloned().unwrap_or_else(|| json!({}));
            for section in fields(dump, &context) {
                let title = match (many || section.title.is_empty(), section.title.is_empty()) {
                    (true, true) => major.clone(),
                    (true, false) => format!("{major}: {}", section.title),
                    (false, _) => section.title.clone(),
                };
                let groups = section.groups.iter().map(|group| PartGroup {
                    title: group.title.clone(),
                    parameters: group.parameters.iter().map(|one| part_parameter(index, one, &given)).collect(),
                });
                sections.push(Part { title, groups: groups.collect() });
            }
        }
        let problems = found_problems(schema, errors_warnings);
        Self { metas: metas(schema), sections, problems }
    }

    /// Shows again what a browser sent, with what is wrong with it.
    pub(crate) fn with_sent(mut self, sent: &HashMap<String, String>, problems: &HashMap<String, String>) -> Self {
        for parameter in
            self.sections.iter_mut().flat_map(|part| &mut part.groups).flat_map(|group| &mut group.parameters)
        {
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
                    self.problems.push(Problem {
                        anchor: parameter.anchor.clone(),
                        label: parameter.title.clone(),
                        sentence: problem.clone(),
                    });
                }
            }
        }
        self
    }
}

fn part_parameter(section: usize, parameter: &FormParameter, given: &Value) -> PartParameter {
    let saved = texts(parameter, given.get(&parameter.name).unwrap_or(&Value::Null));
    let hint = [parameter.description.as_str(), parameter.notes.as_str(), &bounds(parameter)]
        .into_iter()
        .filter(|text| !text.trim().is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    let checkbox = parameter.checkbox.as_ref().map(|name| {
        let value = given.get(name).and_then(|vos| vos.get(0)).and_then(|vo| vo.get("value"));
        Toggle {
            name: toggle_name(section, name),
            value: value.and_then(Value::as_bool).map_or_else(String::new, |set| set.to_string()),
            default: parameter.indexed,
        }
    });
    let fields = parameter.fields.iter().enumerate().map(|(index, field)| PartField {
        id: format!("f-{section}-{}-{index}", parameter.name),
        name: field_name(section, &parameter.name, &field.key),
        label: field.label_text.clone(),
        value: saved.by_field.get(&field.key).cloned().unwrap_or_default(),
        placeholder: field.placeholder.clone(),
        choices: match &field.widget {
            Widget::Choice(choices) if field.series.is_none() => choices.iter().map(|one| one.text.clone()).collect(),
            _ => Vec::new(),
        },
        problem: String::new(),
    });
    PartParameter {
        anchor: anchor(section, &parameter.name),
        title: parameter.title.clone(),
        hint,
        checkbox,
        fields: fields.collect(),
    }
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
        Widget::Number { min, max, .. } => match (min, max) {
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

fn metas(schema: &SchemaView) -> Vec<Meta> {
    let choices: HashMap<String, Vec<String>> = parameters(&schema.parsed.meta_parameters, &Context::default())
        .into_iter()
        .filter_map(|parameter| match &parameter.fields.first()?.widget {
            Widget::Choice(choices) => {
                Some((parameter.name.clone(), choices.iter().map(|one| one.text.clone()).collect()))
            }
            _ => None,
        })
        .collect();
    let shown = parameters(&schema.parsed.meta_parameters, &Context::default());
    shown
        .into_iter()
        .map(|parameter| Meta {
            choices: choices.get(&parameter.name).cloned().unwrap_or_default(),
            value: parameter.fields.first().map(|field| field.placeholder.clone()).unwrap_or_default(),
            title: parameter.title,
            hint: parameter.description,
            name: parameter.name,
        })
        .collect()
}

/// Errors and warnings as the model worded them; some models use shapes that are no lists of texts.
fn found_problems(schema: &SchemaView, errors_warnings: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    let Some(sections) = errors_warnings.as_object() else { return problems };
    for (section, found) in sections {
        let index = schema.parsed.model_parameters.get_index_of(section);
        for kind in ["errors", "warnings"] {
            let Some(parameters) = found.get(kind).and_then(Value::as_object) else { continue };
            for (name, messages) in parameters {
                let dump = schema.parsed.model_parameters.get(section);
                let known = dump.and_then(|dump| dump.get(name));
                let list = match messages {
                    Value::Array(list) => list.clone(),
                    other => vec![other.clone()],
                };
                problems.extend(list.iter().map(|message| Problem {
                    anchor: match (index, known) {
                        (Some(index), Some(_)) => anchor(index, name),
                        _ => String::new(),
                    },
                    label: known.map_or_else(|| format!("{section}, {name}"), |parameter| parameter.title.clone()),
                    sentence: message.as_str().map_or_else(|| message.to_string(), str::to_owned),
                }));
            }
        }
    }
    problems
}
