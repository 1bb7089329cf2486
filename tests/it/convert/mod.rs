//! Conversion of native Jobs. The Job of a run of what a Job was converted to equals that Job, but for what a note names
//! by its field: for known Jobs, for the examples of Kubernetes' documentation, for each single field, and for generated
//! Jobs. Golden cases are folders of tests/convert: `job.yaml` in, `request.yaml` and `notes` out.

mod fields;
mod generated;

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use jobrequest::api::JobRequest;
use jobrequest::compile::{Identity, Layers, compile};
use jobrequest::convert::{Converted, Converter, Note, NoteKind, Refusal, is_convertible};
use jobrequest::manifest::{self, Source};
use k8s_openapi::api::batch::v1::Job;
use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::support::alike::{alike, differences};
use crate::support::golden;

static CONVERTER: LazyLock<Converter> = LazyLock::new(|| Converter::new().unwrap());

pub(crate) fn tests() -> Vec<Trial> {
    let mut all = tests![known_jobs_are_converted_without_a_note, records_are_kept_as_far_as_they_fit];
    all.extend(fields::tests());
    all.extend(generated::tests());
    all.extend(golden::trials(module_path!(), "convert", "job.yaml", comes_out_as_committed));
    all
}

/// The objects of a file.
fn objects(file: &Path) -> Vec<Value> {
    let source = Source::new("job.yaml", 0, fs::read(file).unwrap());
    let read = manifest::read_objects(&[Arc::new(source)], is_convertible);
    assert!(read.unreadable.is_empty(), "{}: {:?}", file.display(), read.unreadable);
    read.documents.iter().map(|document| document.node.to_value()).collect()
}

fn comes_out_as_committed(case: &Path) -> Vec<Option<String>> {
    golden::has_only(case, &["job.yaml", "request.yaml", "notes"]);
    let (mut requests, mut notes) = (Vec::new(), String::new());
    for object in objects(&case.join("job.yaml")) {
        let of_object = match CONVERTER.convert(&object) {
            Ok(converted) => {
                holds(&object, &converted);
                let typed: Option<JobRequest> = serde_json::from_value(converted.request.clone()).ok();
                requests.push(match typed {
                    Some(typed) => serde_saphyr::to_string(&typed).unwrap(),
                    None => serde_saphyr::to_string(&converted.request).unwrap(),
                });
                converted.notes
            }
            Err(Refusal(notes)) => notes,
        };
        for Note { kind, field, message, .. } in of_object {
            writeln!(notes, "{kind:?}: {field}: {message}").unwrap();
        }
    }
    vec![
        golden::compare(&case.join("request.yaml"), &requests.join("---\n")),
        golden::compare(&case.join("notes"), &notes),
    ]
}

/// The Job of run 1 of a converted request, or what is wrong with it.
fn compiled(request: &Value) -> Result<Value, String> {
    let request: JobRequest = serde_json::from_value(request.clone()).map_err(|error| error.to_string())?;
    let name = request.metadata.name.clone().unwrap_or_default();
    let identity = Identity { name: &name, namespace: None, uid: None, generation: None, handled: None };
    let compiled = compile(&identity, &request.spec, &Layers::default(), 1);
    compiled.map(|compiled| json!(compiled.job)).map_err(|problems| problems.to_string())
}

/// The Job of a run equals the native one, but for what is noted; true if it could be compared. What is noted as invalid
/// has no Job.
fn holds(object: &Value, converted: &Converted) -> bool {
    // The last resort of the conversion, which hides what it does wrong.
    let unexplained = converted.notes.iter().find(|note| note.message.starts_with("is not the same"));
    assert!(unexplained.is_none(), "{unexplained:?}\nof {object:#}\nas {:#}", converted.request);
    let is_invalid = converted.notes.iter().any(|note| note.kind == NoteKind::Invalid);
    let of_run = match compiled(&converted.request) {
        Ok(of_run) if !is_invalid => of_run,
        Ok(_) => return false,
        Err(_) if is_invalid => return false,
        Err(problems) => panic!("{problems}\nof {object:#}\nas {:#}", converted.request),
    };
    let (native, at) = if object["kind"] == "CronJob" {
        (&object["spec"]["jobTemplate"], "spec.jobTemplate.spec")
    } else {
        (object, "spec")
    };
    let native: Job = serde_json::from_value(native.clone()).unwrap();
    let silent: Vec<_> = differences(&alike(&json!(native)), &alike(&of_run), at)
        .into_iter()
        .filter(|(path, _, _)| !is_named(path, &converted.notes))
        .collect();
    assert!(
        silent.is_empty(),
        "{silent:#?}\nof {object:#}\nas {:#}\n{:#?}",
        converted.request,
        converted.notes
    );
    true
}

/// A note names the field, one in it, or one that it is in.
fn is_named(path: &str, notes: &[Note]) -> bool {
    let within = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    notes.iter().any(|note| {
        let field = note.place.to_string();
        let becomes_affinity =
            field.ends_with("spec.nodeName") && path.starts_with(&field.replace("nodeName", "affinity"));
        within(path, &field) || within(&field, path) || becomes_affinity
    })
}

fn known_jobs_are_converted_without_a_note() {
    for case in golden::cases("manifests") {
        for object in objects(&case.join("job.yaml")) {
            let converted = CONVERTER.convert(&object).unwrap();
            assert!(holds(&object, &converted), "{}: {converted:#?}", case.display());
            let dropped: Vec<_> =
                converted.notes.iter().filter(|note| note.kind != NoteKind::Changed).collect();
            assert!(dropped.is_empty(), "{}: {dropped:#?}", case.display());
        }
    }
}

fn records_are_kept_as_far_as_they_fit() {
    let record =
        |number: usize| (number.to_string(), json!({"status": "completed", "messages": ["x".repeat(1000)]}));
    let revisions =
        |count: usize| json!((1..=count).map(record).collect::<serde_json::Map<_, _>>()).to_string();
    let convert = |revisions: &str| {
        let object = json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "a", "annotations": {"revisions": revisions, "team": "y".repeat(1000)}},
            "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a:1"}]}}},
        });
        CONVERTER.convert(&object).unwrap()
    };
    let few = revisions(100);
    let converted = convert(&few);
    assert_eq!(converted.request["metadata"]["annotations"]["revisions"], json!(few));
    assert_eq!(converted.notes, []);

    let converted = convert(&revisions(400));
    let kept = converted.request["metadata"]["annotations"]["revisions"].as_str().unwrap();
    let size = kept.len() + "revisions".len() + "team".len() + 1000;
    assert!(size <= 256 * 1024 && size > 250 * 1024, "{size}");
    let kept: serde_json::Map<String, Value> = serde_json::from_str(kept).unwrap();
    assert!(kept.contains_key("400") && !kept.contains_key("1"));
    let message = &converted.notes[0].message;
    assert!(message.contains(&format!("{} oldest of 400", 400 - kept.len())), "{message}");
    assert_eq!(converted.notes.len(), 1, "{:?}", converted.notes);

    let converted = convert(&"not JSON ".repeat(40_000));
    assert_eq!(converted.request["metadata"]["annotations"].get("revisions"), None);
    assert_eq!(converted.notes[0].field, "metadata.annotations.revisions");
}
