//! What is left of a run whose pods are gone: the end of its output, as its record kept it.

use super::super::error::CliError;
use super::super::output::{print as print_text, say};
use crate::api::condition::RunResult;
use crate::api::status::Run;

/// Prints it, with a note on stderr.
///
/// # Errors
/// It could not be written.
pub(super) fn print(run: &Run) -> Result<(), CliError> {
    let (note, output) = of(run);
    say(&note);
    output.map_or(Ok(()), |output| print_text(&output))
}

/// The note, and the output if the record has any.
fn of(run: &Run) -> (String, Option<String>) {
    let gone = format!("the pods of run {} are gone", run.number);
    let Some(failure) = &run.failure else {
        let end = match (run.result, &run.message) {
            (Some(RunResult::Succeeded), _) => "it has completed".to_owned(),
            (_, Some(message)) => format!("its record says: {message}"),
            (_, None) => "its record has no message".to_owned(),
        };
        return (format!("{gone}; {end}\n"), None);
    };
    let place = match (&failure.pod, &failure.container) {
        (Some(pod), Some(container)) => format!(" of {pod}/{container}"),
        _ => String::new(),
    };
    let code = failure.exit_code.map(|code| format!(", which exited with {code}")).unwrap_or_default();
    let note = format!("{gone}; its record kept this{place}{code}:\n");
    match failure.message.as_ref().or(run.message.as_ref()) {
        Some(message) => (note, Some(format!("{}\n", message.trim_end_matches('\n')))),
        None => (format!("{gone}; its record has no output\n"), None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn record(more: &Value) -> Run {
        let mut run = json!({
            "number": 3, "jobName": "pi-3", "trigger": "Created", "digest": "d", "generation": 1,
        });
        for (field, value) in more.as_object().unwrap() {
            run[field] = value.clone();
        }
        serde_json::from_value(run).unwrap()
    }

    #[test]
    fn the_output_is_the_result_and_where_it_is_from_is_a_note() {
        let failure = json!({
            "category": "AppError", "pod": "pi-3-a", "container": "main", "exitCode": 2, "message": "a\nb\n",
        });
        for (more, note, output) in [
            (
                json!({"result": "Failed", "failure": failure}),
                "the pods of run 3 are gone; its record kept this of pi-3-a/main, which exited with 2:\n",
                Some("a\nb\n"),
            ),
            (
                json!({"result": "Failed", "message": "too slow"}),
                "the pods of run 3 are gone; its record says: too slow\n",
                None,
            ),
            (json!({"result": "Failed"}), "the pods of run 3 are gone; its record has no message\n", None),
            (
                json!({"result": "Failed", "failure": {"category": "Evicted"}}),
                "the pods of run 3 are gone; its record has no output\n",
                None,
            ),
            (
                json!({"result": "Succeeded", "message": "run 3 has completed"}),
                "the pods of run 3 are gone; it has completed\n",
                None,
            ),
        ] {
            assert_eq!(of(&record(&more)), (note.to_owned(), output.map(str::to_owned)), "{more}");
        }
    }
}
