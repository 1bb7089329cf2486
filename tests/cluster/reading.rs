//! Documents are read as kubectl reads them: each text goes through both.
//!
//! `kubectl annotate --local` prints what it has read, without a schema and without asking the API server.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use jobrequest::manifest::read_documents;
use serde_json::Value;

use crate::support::{Cluster, Test};

pub(crate) fn tests() -> Vec<Test> {
    tests![
        scalars_are_read_as_kubectl_reads_them,
        documents_are_read_as_kubectl_reads_them,
        a_rendered_job_is_read_as_it_was_written,
    ]
}

const HEAD: &str = "apiVersion: jobrequest.dev/v1alpha1\nkind: JobRequest\nmetadata: {name: a}\n";

/// As values and, where they are not null, as keys.
#[rustfmt::skip] // many a line
const SCALARS: &[&str] = &[
    "", "~", "null", "Null", "NULL", "nULL", "y", "Y", "n", "N", "yes", "Yes", "YES", "yEs", "no", "No",
    "NO", "nO", "on", "On", "ON", "oN", "off", "Off", "OFF", "oFF", "true", "True", "TRUE", "tRUE", "false",
    "False", "FALSE", "0", "-0", "+0", "00", "07", "08", "09.5", "0644", "0o644", "0O17", "0o8", "-0644",
    "+0644", "0x1F", "0X1f", "-0x1f", "0x", "0xg", "0b101", "0B101", "-0b101", "+0b101", "0b+1", "0b2",
    "-0b-1", "1", "-1", "+1", "+-1", "1_000", "1__0", "_1", "1_", "0_7", "0x_1", "1,000",
    "123456789012345678", "9223372036854775807", "9223372036854775808", "18446744073709551615",
    "18446744073709551616", "-9223372036854775808", "-9223372036854775809", "+18446744073709551615", "1.0",
    "1.", ".5", "-.5", "+.5", ".", "+", "..", "...5", "1.5", "1e3", "1E3", "1e+3", "1e-3", "1.5e3", "1e400",
    "1e20", "1e21", "1e22", "1e-7", "1.0e-10", "e3", ".e3", "1e", "1e+", "1_0.5_0", "._5", "0.1", "100.0",
    "-1.0", "0x1p3", "1:30", "190:20:30", "2001-01-01", "2001-1-1", "2001-12-14t21:59:43.10-05:00",
    "2001-12-14 21:59:43", "2001-13-45", "12-34", "500m", "64Mi", "1.5Gi", "1d", "=", "a", "é", "计", "nan",
    "inf", ".NaNs", "Infinity", "'0644'", "\"yes\"", "'~'", "!!str 0644", "!!str yes", "!!str ~", "!!int 7",
    "!!int 0o7", "!!float 1", "!!float 1.5", "!!bool yes", "!!null ~", "!custom 7", "! 7", "!!str",
    "!!timestamp 2001-01-01", "\"a\\tb\\u00e9\\x41\"", "'it''s'", "a b  c", "a #b", "a#b",
    "|-\n    x\n    y", ">-\n    x\n    y", "|\n    x", "|+\n    x\n\n", ">\n    a\n\n    b\n     c\n    d",
    "\"a\n    b\"", "plain\n    goes on", "[1, 2]", "{a: 1}", "[a, [b, {c: d}]]", "[]", "{}", "&x 7",
    "-1.5e-3", "0777777777777777777777", "01777777777777777777777", "0.0", "1e5", "1e6", "1234567.5",
    "0.0001", "0.00001", "-0.0", "1e0", "!!float 1_000",
];

/// Whole texts: merge keys, anchors, cuts, JSON.
#[rustfmt::skip] // many a line
const TEXTS: &[&str] = &[
    "d: {<<: {a: 1}, a: 2}", "d: {a: 2, <<: {a: 1, b: 3}}", "d: {<<: [{a: 1}, {a: 2, b: 3}]}",
    "d: {\"<<\": {a: 1}}", "d: {<<: 7}", "d: {<<: [7]}", "x: &x {a: 1}\nd: {<<: *x, b: 2}",
    "x: &x [1, 2]\nd: *x", "x: &x 0644\nd: *x", "x: &x a\nd: {*x : 1}", "x: &x a\nx2: &x b\nd: *x",
    "d: *nope", "d: .inf", "d: -.inf", "d: .nan", "d: {~: 1}", "d: {[a]: 1}", "d: {{a: b}: 1}",
    "d: {1: a, 1.5: b, yes: c, 0x10: d, 1e3: e, 0.00001: f, 1e30: g}", "d: !!int x", "d: !!bool 7",
    "d: !!float a", "d: !!null x", "d:\n\t a: 1", "d: a\tb", "d: [1,\n2]", "d: 'x", "d: [1", "d: }",
    "d: @x", "d: `x`", "d: %x", "d: - 7", "d: a: b", "--- # a comment\nd: 7", "---\n---\n", "--- x\nd: 7",
    "---x", "d: |\n  a\n---\n", "d: \"a\n---\nb\"", "d: 7\n...\n", "d: |\n  a\n   b\n  c\n\n",
    "d: |2\n    a", "d: >-\n  a\n\n\n  b", "d: \"\\ud83d\\ude00\"", "d: \"\\q\"", "d: \"a\\/b\"",
    "d: \"\\ud83d\"", "d: \"\\\\ud83d \\\\/\"", "d: {9223372036854775808: x}", "d: \u{85}x", "? d\n: 7",
    "\"d\": 7", "d : 7", "d: {a: b?c}", "d: [http://x/?a=b]", "d: {:a: b}", "d: {a\n  b: c}", "d: {a\n  : c}", "d: {? a: b}", "d: {\"a\":1}", "d:7", "d: -", "d: \u{7f}", "d:\n- 1\n- 2", "d:\n  - a: 1\n    b: 2\n  -\n    - c",
];

fn by_kubectl(cx: &Cluster, file: &Path) -> Result<Vec<Value>, String> {
    let file = file.display().to_string();
    let text = cx.try_kubectl(&[
        "annotate",
        "--local",
        "--dry-run=client",
        "-o",
        "json",
        "-f",
        &file,
        "not-there-",
    ])?;
    let objects = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    Ok(objects.map(|object| without_annotations(object.unwrap())).collect())
}

fn without_annotations(mut object: Value) -> Value {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("annotations");
    }
    object
}

/// JSON has one kind of number.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

async fn scalars_are_read_as_kubectl_reads_them(cx: Arc<Cluster>) {
    let mut text = format!("{HEAD}values:\n");
    for (index, scalar) in SCALARS.iter().enumerate() {
        writeln!(text, "  s{index}: {scalar}").unwrap();
    }
    text.push_str("keys:\n");
    let keys: Vec<_> = SCALARS
        .iter()
        .filter(|s| {
            !s.contains('\n')
                && !s.starts_with(['[', '{', '|', '>', '&'])
                && !s.is_empty()
                && !s.contains(": ")
        })
        .filter(|s| {
            !matches!(
                s.to_lowercase().as_str(),
                "~" | "null"
                    | "!!null ~"
                    | "a #b"
                    | "9223372036854775808"
                    | "18446744073709551615"
                    | "01777777777777777777777"
            )
        })
        .collect();
    for (index, key) in keys.iter().enumerate() {
        writeln!(text, "- {{at: {index}, {key} : x}}").unwrap();
    }
    let file = cx.log("scalars.yaml");
    fs::write(&file, &text).unwrap();
    let kubectl = by_kubectl(&cx, &file).expect("kubectl reads the scalars").remove(0);
    let ours = read_documents(&text).unwrap().remove(0);
    let mut wrong = Vec::new();
    for (index, scalar) in SCALARS.iter().enumerate() {
        let key = format!("s{index}");
        let (a, b) = (&kubectl["values"][&key], &ours["values"][&key]);
        if !same(a, b) {
            wrong.push(format!("{scalar:?}: kubectl {a}, here {b}"));
        }
    }
    for (index, key) in keys.iter().enumerate() {
        let (a, b) = (&kubectl["keys"][index], &ours["keys"][index]);
        if !same(a, b) {
            wrong.push(format!("key {key:?}: kubectl {a}, here {b}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), SCALARS.len() + keys.len(), wrong.join("\n"));
}

async fn documents_are_read_as_kubectl_reads_them(cx: Arc<Cluster>) {
    let mut wrong = Vec::new();
    let json = [
        "{\"apiVersion\":\"jobrequest.dev/v1alpha1\",\"kind\":\"JobRequest\",\"metadata\":{\"name\":\"a\"},\n\t\"d\":[1e3,-0,\"\\u8ba1\\/\"]}".to_owned(),
        "{\"apiVersion\":\"jobrequest.dev/v1alpha1\",\"kind\":\"JobRequest\",\"metadata\":{\"name\":\"a\"}}\n".repeat(3),
        "{\"apiVersion\":\"jobrequest.dev/v1alpha1\",\"kind\":\"JobRequest\",\"metadata\":{\"name\":\"a\"}}".repeat(2),
        "{apiVersion: jobrequest.dev/v1alpha1, kind: JobRequest, metadata: {name: a}, d: yes}".to_owned(),
        format!("{HEAD}d: 1\n---\n{HEAD}d: 2\n---\n# nothing\n---\n"),
        format!("apiVersion: v1\nkind: List\nitems:\n- {{apiVersion: jobrequest.dev/v1alpha1, kind: JobRequest, metadata: {{name: a}}}}\n- {{apiVersion: jobrequest.dev/v1alpha1, kind: JobRequest, metadata: {{name: b}}}}\n---\n{HEAD}"),
        format!("\u{feff}{HEAD}"),
        HEAD.replace('\n', "\r\n"),
        format!("%YAML 1.1\n---\n{HEAD}"),
        "apiVersion: jobrequest.dev/v1alpha1\nmetadata: {name: a}\n".to_owned(),
        "- a\n- b\n".to_owned(),
        "just text\n".to_owned(),
    ];
    let texts: Vec<_> = TEXTS.iter().map(|text| format!("{HEAD}{text}\n")).chain(json).collect();
    for (index, text) in texts.iter().enumerate() {
        let file = cx.log(&format!("text-{index}.yaml"));
        fs::write(&file, text).unwrap();
        match (by_kubectl(&cx, &file), read_documents(text)) {
            (Err(_), Err(_)) => {}
            (Ok(a), Ok(b)) if a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| same(a, b)) => {}
            (kubectl, ours) => wrong.push(format!("{text}\nkubectl {kubectl:?}\nhere {ours:?}\n")),
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), texts.len(), wrong.join("\n"));
}

/// Texts that look like something else survive `render` and kubectl.
async fn a_rendered_job_is_read_as_it_was_written(cx: Arc<Cluster>) {
    let mut values: Vec<String> = SCALARS.iter().map(ToString::to_string).collect();
    values.extend(
        ["\t", " a ", "a\n", "a\nb", "- a", "# a", "---", "...", "a:", ":a", "\u{feff}", "'", "\"", "<<"]
            .map(String::from),
    );
    let env: Vec<_> = (values.iter().enumerate())
        .map(|(index, value)| serde_json::json!({"name": format!("V{index}"), "value": value}))
        .collect();
    let request = serde_json::json!({
        "apiVersion": "jobrequest.dev/v1alpha1", "kind": "JobRequest", "metadata": {"name": "a"},
        "spec": {"containers": [{"name": "main", "image": "x", "env": env}]}
    });
    let file = cx.log("request.json");
    fs::write(&file, request.to_string()).unwrap();
    let render =
        std::process::Command::new(env!("CARGO_BIN_EXE_jobrequest")).arg("render").arg(&file).output();
    let render = render.unwrap();
    assert!(render.status.success(), "{}", String::from_utf8_lossy(&render.stderr));
    let job = cx.log("job.yaml");
    fs::write(&job, render.stdout).unwrap();
    let read = by_kubectl(&cx, &job).expect("kubectl reads the Job").remove(0);
    let read: Vec<_> = read["spec"]["template"]["spec"]["containers"][0]["env"]
        .as_array()
        .unwrap()
        .iter()
        .map(|variable| variable["value"].as_str().unwrap_or_default())
        .collect();
    similar_asserts::assert_eq!(values, read);
}
