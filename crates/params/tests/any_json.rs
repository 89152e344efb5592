//! Nothing panics, whatever the JSON, and what should be stable is.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use csw_params::{
    Dump, InputSchema, adjust, adjustment_changes, apply_meta, diff, first_pass, form, normalise, validate_meta,
};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// JSON made of the words that mean something here, so that the odd shapes reach the code behind.
fn odd_json() -> BoxedStrategy<Value> {
    let word = prop::sample::select(vec![
        "value",
        "year",
        "min",
        "max",
        "choices",
        "int",
        "float",
        "bool",
        "str",
        "date",
        "default",
        "a",
        "b",
        "2020-01-01",
        "2020-01-01T00:00:00Z",
        "1",
        "nan",
        "1e400",
        "",
        "é",
        "_auto",
        "own",
        "<",
        "*",
        "true",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..3).prop_map(Value::from),
        any::<f64>().prop_map(|f| json!(f)),
        any::<u64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..4)
                .prop_map(|members| { Value::Object(members.into_iter().map(|(k, v)| (k.to_owned(), v)).collect()) }),
        ]
    })
    .boxed()
}

fn validator() -> BoxedStrategy<Value> {
    let limit = || {
        prop_oneof![
            odd_json(),
            (-5..5).prop_map(Value::from),
            prop::sample::select(vec!["a", "b", "default", "2020-01-01"]).prop_map(Value::from),
        ]
    };
    let plain = prop_oneof![
        (limit(), limit()).prop_map(|(min, max)| json!({"range": {"min": min, "max": max}})),
        (limit(), limit(), odd_json()).prop_map(
            |(min, max, step)| json!({"date_range": {"min": min, "max": max, "step": step, "level": "warn"}})
        ),
        prop::collection::vec(odd_json(), 0..4).prop_map(|choices| json!({"choice": {"choices": choices}})),
        odd_json(),
    ]
    .boxed();
    (plain.clone(), plain, limit())
        .prop_map(|(one, two, is)| json!({"when": {"param": "b", "is": is, "then": one, "otherwise": two}}))
        .boxed()
}

prop_compose! {
    fn parameter()(
        kind in prop::sample::select(vec!["int", "float", "bool", "str", "date", "own"]),
        dims in 0..3,
        value in odd_json(),
        validators in prop_oneof![validator(), Just(json!({}))],
        indexed in any::<bool>(),
    ) -> Value {
        json!({"title": "T", "type": kind, "number_dims": dims, "value": value,
               "validators": validators, "indexed": indexed, "checkbox": indexed})
    }
}

prop_compose! {
    fn dump()(
        a in parameter(), b in parameter(),
        label in prop_oneof![
            Just(json!({"type": "int", "validators": {"range": {"min": 2018, "max": 2021}}})),
            Just(json!({"type": "str", "validators": {"choice": {"choices": ["a", "b", 1]}}})),
            validator().prop_map(|v| json!({"type": "date", "validators": v})),
        ],
        extend in any::<bool>(),
    ) -> Value {
        let extend = if extend { json!("year") } else { Value::Null };
        json!({"a": a, "schema": {"labels": {"year": label}, "operators": {"label_to_extend": extend, "uses_extend_func": true}}, "b": b})
    }
}

/// Reads all of it in every way there is.
fn exercise(meta: &Value, model: &Value, adjustment: &Value) {
    let Ok(schema) = InputSchema::parse(meta, &json!({ "S": model })) else { return };
    let pass = first_pass(&schema, &json!({ "S": adjustment, "X": 1 }));
    assert_eq!(pass.errors_warnings().as_object().map(Map::len), Some(3));
    let once = normalise(&schema, meta, &pass.adjustment);
    let twice = normalise(&schema, &once["meta_parameters"], &once["adjustment"]);
    assert_eq!(once.to_string(), twice.to_string());
    let dump = &schema.model_parameters["S"];
    let _ = adjustment_changes(dump, adjustment);
    if let Ok(adjusted) = adjust(dump, adjustment) {
        let _ = diff(dump, &adjusted);
        assert!(Dump::parse(&adjusted.to_json()).is_ok());
    }
    let meta_dump = &schema.meta_parameters;
    let values = validate_meta(meta_dump, adjustment).or_else(|_| validate_meta(meta_dump, &json!({})));
    if let Ok(values) = values {
        let applied = apply_meta(meta_dump, &values);
        assert_eq!(validate_meta(&applied, &Value::Null).as_ref(), Ok(&values));
        let context = form::Context::new(&values);
        for parameter in form::fields(dump, &context).iter().flat_map(|s| &s.groups).flat_map(|g| &g.parameters) {
            let given = adjustment.get(&parameter.name).cloned().unwrap_or_default();
            let texts = form::texts(parameter, &given);
            for field in &parameter.fields {
                let text = texts.by_field.get(&field.key).map_or("", String::as_str);
                let _ = form::parse(parameter, field, text);
            }
        }
    }
}

proptest! {
    #[test]
    fn dumps_round_trip(value in dump()) {
        if let Ok(dump) = Dump::parse(&value) {
            prop_assert_eq!(dump.to_json().to_string(), value.to_string());
        }
    }

    #[test]
    fn any_json_is_survived(meta in odd_json(), model in odd_json(), adjustment in odd_json()) {
        exercise(&meta, &model, &adjustment);
    }

    #[test]
    fn any_adjustment_is_survived(meta in dump(), model in dump(), a in odd_json(), b in odd_json(), year in odd_json()) {
        exercise(&meta, &model, &json!({"a": a, "b": b}));
        exercise(&meta, &model, &json!({"a": [{"year": year, "value": a}, {"value": b}], "b": a}));
    }
}
