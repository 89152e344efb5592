use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;

fn dump() -> Dump {
    let labels = json!({
        "year": {"type": "int", "validators": {"range": {"min": 2013, "max": 2034}}},
        "MARS": {"type": "str", "validators": {"choice": {"choices": ["single", "joint"]}}},
        "full": {"type": "bool"},
    });
    Dump::parse(&json!({
        "schema": {"labels": labels, "operators": {"label_to_extend": "year"}},
        "rate": {"title": "Rate", "type": "float", "section_1": "A", "indexed": true, "checkbox": true,
                 "value": [{"year": 2020, "MARS": "single", "value": 0.1}, {"year": 2020, "MARS": "joint", "value": 0.2}],
                 "validators": {"range": {"min": 0, "max": 9e99}}},
        "on": {"title": "On", "type": "bool", "section_1": "B", "section_2": "x", "value": [{"year": 2020, "value": true}]},
        "start": {"title": "Start", "type": "date", "section_1": "A", "value": [{"full": true, "value": "2020-01-01"}],
                  "validators": {"date_range": {"min": "2010-01-01", "max": "end"}}},
        "end": {"title": "End", "type": "date", "section_1": "A", "section_2": "y", "value": "2021-01-01"},
        "names": {"title": "Names", "type": "str", "number_dims": 1, "value": ["a", "b, c"]},
        "table": {"title": "Table", "type": "int", "number_dims": 2, "value": [[1, 2], [3, 4]]},
        "word": {"title": "Word", "type": "str", "value": [{"year": 2020, "value": "x"}]},
        "text": {"title": "Text", "type": "str", "value": "x"},
        "years": {"title": "Years", "type": "int", "value": [{"year": 2020, "value": 1}, {"year": 2021, "value": 2}]},
    }))
    .unwrap()
}

fn context() -> Context {
    let meta = [("year", json!(2020)), ("full", json!(false))];
    Context::new(&meta.map(|(name, value)| (name.to_owned(), vec![ValueObject::bare(value)])).into_iter().collect())
}

fn parameter(name: &str) -> FormParameter {
    fields(&dump(), &context())
        .into_iter()
        .flat_map(|section| section.groups)
        .flat_map(|group| group.parameters)
        .find(|parameter| parameter.name == name)
        .unwrap()
}

fn read(name: &str, text: &str) -> Value {
    let parameter = parameter(name);
    match parse(&parameter, &parameter.fields[0], text) {
        Ok(vos) => vos.iter().map(ValueObject::to_json).collect(),
        Err(error) => json!(error.to_string()),
    }
}

fn shown(name: &str, given: &Value) -> String {
    let parameter = parameter(name);
    let texts = texts(&parameter, given);
    texts.by_field.get(&parameter.fields[0].key).cloned().unwrap_or_default()
}

#[test]
fn groups_in_order_of_first_appearance() {
    let outline: Vec<_> = fields(&dump(), &context())
        .iter()
        .map(|section| {
            let groups: Vec<_> =
                section.groups.iter().map(|group| (group.title.clone(), group.parameters.len())).collect();
            (section.title.clone(), groups)
        })
        .collect();
    let expected = [("A", vec![("", 2), ("y", 1)]), ("B", vec![("x", 1)]), ("", vec![("", 5)])];
    let expected: Vec<(String, Vec<(String, usize)>)> = expected
        .into_iter()
        .map(|(title, groups)| (title.into(), groups.into_iter().map(|(t, n)| (t.into(), n)).collect()))
        .collect();
    assert_eq!(outline, expected);
}

#[test]
fn one_field_per_default_value() {
    let rate = parameter("rate");
    let keys: Vec<_> = rate.fields.iter().map(|field| field.key.as_str()).collect();
    assert_eq!(keys, ["MARS__single___year__2020", "MARS__joint___year__2020"]);
    assert_eq!(rate.fields[0].label_text, "single");
    assert_eq!(rate.fields[1].placeholder, "0.2");
    assert_eq!(rate.checkbox.as_deref(), Some("rate_checkbox"));
    assert_eq!(rate.fields[0].widget, Widget::Number { integer: false, min: Some(0.0), max: None, step: None });
    let Widget::Choice(choices) = &parameter("on").fields[0].widget else { panic!() };
    assert_eq!(choices[0].text, "True");
    let start = parameter("start");
    assert_eq!(start.fields[0].widget, Widget::Date { min: Some("2010-01-01".into()), max: None });
    assert_eq!(start.fields[0].labels["full"], json!(false), "a meta parameter's current value");
    assert_eq!(parameter("names").fields[0].placeholder, "a, \"b, c\"");
    let years = parameter("years");
    assert!(years.fields.iter().all(|field| field.series.is_none()));
    assert_eq!(years.fields[1].labels["year"], json!(2021));
}

#[test]
fn series_notation() {
    let vo = |year: i32, value: f64| json!({"value": value, "year": year, "MARS": "single"});
    assert_eq!(read("rate", "<,1,*,3"), json!([vo(2019, 1.0), vo(2021, 3.0)]));
    assert_eq!(read("rate", "*,*,5"), json!([vo(2022, 5.0)]));
    assert_eq!(read("rate", "0.5"), json!([vo(2020, 0.5)]));
    assert_eq!(read("rate", "  "), json!([]));
    assert_eq!(read("on", "*,False"), json!([{"value": false, "year": 2021}]));
    assert_eq!(read("word", r#""*",a b,"x, y""#).as_array().map(Vec::len), Some(3));
    let earlier = json!(FieldError::Earlier.to_string());
    for wrong in ["<", "1,<", "<,<,1", "<,*,1"] {
        assert_eq!(read("rate", wrong), earlier, "{wrong}");
    }
    assert_eq!(read("rate", "1,,2"), json!(FieldError::MissingValue.to_string()));
    assert_eq!(read("rate", "1,x"), json!("Not a valid number: x."));
    let far = format!("{}1", "*,".repeat(15));
    assert_eq!(read("rate", &far), json!("the values run out of the range of year: there is none after 2034"));
}

#[test]
fn saved_values_keep_their_year() {
    for text in ["<,1.0,*,3.0", "*,*,5.0", "1.0", "1.0,2.0"] {
        assert_eq!(shown("rate", &read("rate", text)), text);
    }
    let old_form = json!([{"year": "2021", "MARS": "single", "value": "3"}]);
    assert_eq!(shown("rate", &old_form), "*,3");
    let far = json!([{"value": 1.0, "year": 2015, "MARS": "single"}]);
    let text = shown("rate", &far);
    assert!(text.starts_with("[{"), "{text}");
    assert_eq!(read("rate", &text), far);
}

#[test]
fn arrays() {
    assert_eq!(read("names", r#"a, "b, c""#), json!([{"value": ["a", "b, c"]}]));
    assert_eq!(read("names", r#"["a"]"#), json!([{"value": ["a"]}]));
    assert_eq!(read("table", "[[1, 2]]"), json!([{"value": [[1, 2]]}]));
    assert_eq!(read("table", "[[1, \"x\"]]"), json!("Not a valid integer: x."));
    assert_eq!(shown("names", &json!(["a", "b, c"])), "a, \"b, c\"");
    assert_eq!(shown("table", &json!([{"value": [[1, 2]]}])), "[[1,2]]");
}

#[test]
fn values_of_no_field_are_kept() {
    let texts = texts(&parameter("rate"), &json!([{"value": 1}, {"MARS": "joint", "year": 2020, "value": 2}]));
    assert_eq!(texts.rest, [ValueObject::bare(json!(1))]);
    assert_eq!(texts.by_field["MARS__joint___year__2020"], "2");
    assert_eq!(shown("start", &json!("2020-05-05")), "2020-05-05", "only a meta parameter is missing");
    assert!(shown("start", &json!([{"full": true, "value": "2020-05-05"}])).starts_with("[{"));
    assert_eq!(shown("text", &json!("")), r#"[{"value":""}]"#);
    assert_eq!(shown("text", &json!("a, b")), "a, b");
}

proptest! {
    #[test]
    fn any_series_survives_the_form(values in prop::collection::btree_map(2013_i64..=2034, -1e6..1e6_f64, 1..6)) {
        let given: Vec<Value> = values
            .iter()
            .map(|(year, value)| json!({"value": value, "year": year, "MARS": "single"}))
            .collect();
        let given = Value::Array(given);
        prop_assert_eq!(read("rate", &shown("rate", &given)), given);
    }

    #[test]
    fn any_text_survives_the_form(word in ".*", list in prop::collection::vec(".*", 1..4)) {
        for (name, value) in [("text", json!(word)), ("names", json!(list)), ("word", json!(word))] {
            let parameter = parameter(name);
            let labels: Map<String, Value> = parameter.fields[0].labels.clone().into_iter().collect();
            let mut vo = json!({"value": value});
            vo.as_object_mut().unwrap().extend(labels);
            let given = json!([vo]);
            prop_assert_eq!(read(name, &shown(name, &given)), given);
        }
    }

    #[test]
    fn any_text_is_survived(text in ".*", dims in prop::sample::select(vec!["rate", "names", "table", "start"])) {
        read(dims, &text);
    }
}
