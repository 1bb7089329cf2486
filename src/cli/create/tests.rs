//! Property: the command of a spec, parsed again, makes an equal spec.

use std::sync::Arc;

use clap::Parser;
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::arguments::Arguments;
use crate::form::{Draft, Fields, command_line, command_of, same_spec};

#[derive(Debug, Parser)]
struct Program {
    #[command(flatten)]
    arguments: Arguments,
}

/// The spec that a command makes.
fn made(fields: &Arc<Fields>, words: &[String]) -> Value {
    let words = std::iter::once("create").chain(words.iter().map(String::as_str));
    let Program { arguments } = Program::try_parse_from(words).unwrap_or_else(|error| panic!("{error}"));
    let mut draft = Draft::new(Arc::clone(fields), json!({}), arguments.fields.container());
    arguments.fields.apply(&mut draft).unwrap_or_else(|error| panic!("{error}"));
    draft.spec().clone()
}

/// An object with those of the fields that are there.
fn object(fields: Vec<(&str, Option<Value>)>) -> Value {
    Value::Object(fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
}

fn text() -> impl Strategy<Value = String> {
    const HARD: &[&str] = &[
        "",
        "-x",
        "--",
        "a=b",
        "计算 π",
        "it's",
        "a \"b\"",
        "$HOME `x`",
        "secret/x",
        "secret/x:k",
        "configmap/",
        "[a]",
        "{}",
        "null",
        "~",
        "yes",
        "1",
        "a\nb",
        "#",
        "a:b",
        "\\",
    ];
    prop_oneof![3 => select(HARD).prop_map(ToOwned::to_owned), 2 => "[ -~]{0,12}"]
}

fn name() -> impl Strategy<Value = String> {
    select(&["main", "pi", "a", "0", "db", "var-cache", "x.y", "db-2"][..]).prop_map(ToOwned::to_owned)
}

fn amount() -> impl Strategy<Value = Value> {
    select(&["500m", "1", "0", "1Gi", "0.5"][..]).prop_map(|text| json!(text))
}

fn config_ref(with_key: bool) -> impl Strategy<Value = Value> {
    (select(&["ConfigMap", "Secret"][..]), name(), text(), of(any::<bool>())).prop_map(
        move |(kind, name, key, optional)| {
            object(vec![
                ("kind", Some(json!(kind))),
                ("name", Some(json!(name))),
                ("key", with_key.then(|| json!(key))),
                ("optional", optional.filter(|_| name == "x.y").map(|optional| json!(optional))),
            ])
        },
    )
}

fn unique(items: Vec<Value>, key: &str) -> Vec<Value> {
    let mut seen = std::collections::HashSet::new();
    items.into_iter().filter(|item| seen.insert(item[key].to_string())).collect()
}

fn env() -> impl Strategy<Value = Value> {
    let value = prop_oneof![
        4 => text().prop_map(|text| json!({"value": text})),
        3 => config_ref(true).prop_map(|reference| json!({"configRef": reference})),
        1 => Just(json!({"fieldRef": "metadata.name"})),
        1 => Just(json!({"resourceRef": {"resource": "limits.cpu", "divisor": "1m"}})),
    ];
    (select(&["A", "B.C", "D E", "F]", "G[0]", "0"][..]), value).prop_map(|(name, mut value)| {
        value["name"] = json!(name);
        value
    })
}

fn volume() -> impl Strategy<Value = Value> {
    let source = prop_oneof![
        Just(json!({"emptyDir": {}})),
        Just(json!({"emptyDir": {"medium": "Memory"}})),
        name().prop_map(|name| json!({"persistentVolumeClaim": {"claimName": name}})),
        Just(json!({"persistentVolumeClaim": {"claimName": "x", "readOnly": true}})),
        config_ref(false).prop_map(|reference| json!({"configRef": reference})),
        Just(json!({"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}})),
    ];
    (name(), source).prop_map(|(name, mut source)| {
        source["name"] = json!(name);
        source
    })
}

fn mount() -> impl Strategy<Value = Value> {
    let path = select(&["/data", "/var/cache", "/a b", "/a=b", "/x]", "/x].y", "data"][..]);
    (path, of(name()), of(any::<bool>()), of(Just("sub"))).prop_map(|(path, volume, read_only, sub)| {
        object(vec![
            ("path", Some(json!(path))),
            ("volume", volume.map(|name| json!(name))),
            ("readOnly", read_only.map(|is| json!(is))),
            ("subPath", sub.filter(|_| path == "/a b").map(|sub| json!(sub))),
        ])
    })
}

fn container() -> impl Strategy<Value = Value> {
    let words = || of(vec(text(), 0..3)).prop_map(|words| words.map(|words| json!(words)));
    let env_from = (config_ref(false), of(text())).prop_map(|(of, prefix)| {
        object(vec![("configRef", Some(of)), ("prefix", prefix.map(|text| json!(text)))])
    });
    let resources = (of(amount()), of(amount()), of(amount()), of(amount())).prop_map(|(a, b, c, d)| {
        let lists = [("requests", a, b), ("limits", c, d)]
            .map(|(list, cpu, memory)| (list, Some(object(vec![("cpu", cpu), ("memory", memory)]))));
        object(lists.into_iter().filter(|(_, map)| map.as_ref() != Some(&json!({}))).collect())
    });
    let first = (of(text()), words(), words(), of(vec(env(), 0..4)), of(vec(env_from, 0..3)));
    let second = (of(resources), of(vec(mount(), 0..4)), of(name()), of(any::<bool>()), of(text()));
    (name(), first, second).prop_map(
        |(name, (image, command, args, env, env_from), (resources, mounts, quota, sidecar, dir))| {
            object(vec![
                ("name", Some(json!(name))),
                ("image", image.map(|text| json!(text))),
                ("command", command),
                ("args", args),
                ("env", env.map(|items| json!(unique(items, "name")))),
                ("envFrom", env_from.map(|items| json!(items))),
                ("resources", resources),
                ("mounts", mounts.map(|items| json!(unique(items, "path")))),
                ("quota", quota.map(|name| json!(name))),
                ("sidecar", sidecar.map(|is| json!(is))),
                ("workingDir", dir.map(|text| json!(text))),
            ])
        },
    )
}

fn spec() -> impl Strategy<Value = Value> {
    let number =
        || of(select(&[0_i64, 1, 300, -1, 2_147_483_647][..])).prop_map(|number| number.map(|n| json!(n)));
    let settings = (number(), number(), number(), of(Just("Indexed"))).prop_map(|(a, b, c, mode)| {
        object(vec![
            ("completions", a),
            ("activeDeadlineSeconds", b),
            ("ttlSecondsAfterFailed", c),
            ("completionMode", mode.map(|mode| json!(mode))),
        ])
    });
    let map = || of(btree_map(select(&["a", "example.com/b", "c d", "e]", "f=g", ""][..]), text(), 0..3));
    let template =
        (of(select(&["JobTemplate", "ClusterJobTemplate"][..])), name()).prop_map(|(kind, name)| {
            object(vec![("kind", kind.map(|kind| json!(kind))), ("name", Some(json!(name)))])
        });
    let first = (of(text()), of(text()), of(template), of(settings), of(any::<bool>()));
    let second = (of(vec(container(), 0..3)), of(vec(volume(), 0..3)), map(), map(), of(text()));
    let third = of(select(vec![
        json!({"template": {"spec": {"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}]}}}),
        json!({}),
        json!({"a]b": 1}),
    ]));
    (first, second, third).prop_map(
        |(
            (alias, description, template, settings, suspend),
            (containers, volumes, labels, selector, node),
            overrides,
        )| {
            object(vec![
                ("alias", alias.map(|text| json!(text))),
                ("description", description.map(|text| json!(text))),
                ("templateRef", template),
                ("settings", settings),
                ("suspend", suspend.map(|is| json!(is))),
                ("containers", containers.map(|items| json!(unique(items, "name")))),
                ("volumes", volumes.map(|items| json!(unique(items, "name")))),
                ("labels", labels.map(|map| json!(map))),
                ("nodeSelector", selector.map(|map| json!(map))),
                ("nodeName", node.map(|text| json!(text))),
                ("overrides", overrides),
            ])
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_command_of_a_spec_makes_an_equal_spec(spec in spec()) {
        let fields = Arc::new(Fields::of_spec());
        let object = json!({"metadata": {"name": "pi"}, "spec": spec});
        let words = command_of(&fields, &object);
        let made = made(&fields, &words);
        prop_assert!(same_spec(&made, &spec), "{words:?}\n{made}\n{spec}");
        // A shell takes it apart into the same words.
        if let Some(line) = command_line(&words) {
            prop_assert_eq!(shlex::split(&line), Some(words));
        }
    }
}

#[test]
fn the_examples_have_a_command() {
    let fields = Arc::new(Fields::of_spec());
    let mut count = 0;
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "yaml") {
            continue;
        }
        for object in crate::manifest::read_documents(&std::fs::read_to_string(&path).unwrap()).unwrap() {
            if object["kind"] == "JobRequest" {
                let words = command_of(&fields, &object);
                assert!(same_spec(&made(&fields, &words), &object["spec"]), "{}: {words:?}", path.display());
                count += 1;
            }
        }
    }
    assert!(count > 3, "{count}");
}

#[test]
fn the_order_of_flags_on_the_line_does_not_matter() {
    let fields = Arc::new(Fields::of_spec());
    let words = |line: &str| line.split(' ').map(ToOwned::to_owned).collect::<Vec<_>>();
    let one = made(&fields, &words("pi --set alias=b --image perl:5 --env A=1 --alias a --env B=2"));
    assert_eq!(one["alias"], "b");
    assert_eq!(
        one["containers"],
        json!([{"name": "main", "image": "perl:5", "env": [
            {"name": "A", "value": "1"}, {"name": "B", "value": "2"},
        ]}])
    );
    let _: Map<String, Value> = one.as_object().cloned().unwrap();
}
