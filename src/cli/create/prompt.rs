//! The form on a terminal: asks what [`crate::form`] says, until everything is answered and the user has decided.
//!
//! Esc is one step back, Ctrl-C leaves. Prompts go to stderr, so that stdout stays the result.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use inquire::autocompletion::{Autocomplete, Replacement};
use inquire::validator::Validation;
use inquire::{CustomUserError, InquireError, Select, Text};
use serde_json::Value;

use super::readable::Readable;
use crate::cli::error::CliError;
use crate::cli::output::{count, say, yaml};
use crate::form::{Ask, Asked, Form, Inventory, Kind, Names, Need, Question, STEPS, missing};

/// What happens to the document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Decision {
    /// It is written to this file.
    pub(super) file: Option<String>,
    /// It is created.
    pub(super) is_created: bool,
}

/// Why nothing happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    /// Ctrl-C.
    Interrupted,
    /// It was chosen.
    Chosen,
}

/// What a prompt came to.
enum Came<T> {
    Answer(T),
    Back,
    Interrupted,
}

fn came<T>(outcome: Result<T, InquireError>) -> Result<Came<T>, CliError> {
    match outcome {
        Ok(answer) => Ok(Came::Answer(answer)),
        Err(InquireError::OperationCanceled) => Ok(Came::Back),
        Err(InquireError::OperationInterrupted) => Ok(Came::Interrupted),
        Err(InquireError::IO(error)) => Err(CliError::Io("ask on the terminal", error)),
        Err(error) => Err(CliError::Usage(format!("could not ask on the terminal: {error}"))),
    }
}

/// Reads the keys of an object.
type Keys<'a> = &'a dyn Fn(Kind, &str) -> Names;

/// What every prompt needs.
#[derive(Clone)]
struct Picks<'a> {
    form: &'a Form,
    inventory: Rc<RefCell<Inventory>>,
    keys: Keys<'a>,
}

impl Autocomplete for Picks<'_> {
    fn get_suggestions(&mut self, input: &str) -> Result<Vec<String>, CustomUserError> {
        let suggestions = self.form.suggest(input, &self.inventory.borrow());
        let Some(Need::Keys(kind, name)) = suggestions.need else { return Ok(suggestions.options) };
        let keys = (self.keys)(kind, &name);
        self.inventory.borrow_mut().keys(kind, &name, keys);
        Ok(self.form.suggest(input, &self.inventory.borrow()).options)
    }

    fn get_completion(&mut self, _: &str, chosen: Option<String>) -> Result<Replacement, CustomUserError> {
        Ok(chosen)
    }
}

/// Asks for everything.
///
/// # Errors
/// The terminal cannot be used.
pub(super) fn ask(
    mut form: Form,
    inventory: Inventory,
    keys: Keys<'_>,
    has_cluster: bool,
) -> Result<Result<(crate::form::Draft, Decision), Leaving>, CliError> {
    say("Create a JobRequest. Enter takes an answer, Esc goes back, Tab completes, Ctrl-C leaves.\n");
    if !has_cluster {
        say("note: no cluster is known; it can be written to a file\n");
    }
    let inventory = Rc::new(RefCell::new(inventory));
    loop {
        let outcome: Came<()> = match form.asked() {
            Asked::Question(question) => {
                match one(&form, &question, &Picks { form: &form, inventory: Rc::clone(&inventory), keys })? {
                    Came::Answer(answer) => {
                        if let Err(message) = form.answer(&answer) {
                            say(&format!("{message}\n"));
                        }
                        continue;
                    }
                    Came::Back => Came::Back,
                    Came::Interrupted => Came::Interrupted,
                }
            }
            Asked::Review => match review(&mut form, &inventory.borrow(), has_cluster)? {
                Came::Answer(Some(reviewed)) => return Ok(reviewed),
                Came::Answer(None) => continue,
                Came::Back => Came::Back,
                Came::Interrupted => Came::Interrupted,
            },
        };
        match outcome {
            Came::Interrupted => return Ok(Err(Leaving::Interrupted)),
            _ if form.back() => {}
            _ => say("this is the first question; Ctrl-C leaves\n"),
        }
    }
}

fn one(form: &Form, question: &Question, picks: &Picks<'_>) -> Result<Came<String>, CliError> {
    if question.is_first {
        say(&format!("\nStep {} of {}: {}\n", question.step, STEPS.len(), question.title));
    }
    if question.ask == Ask::Choice {
        const DEFAULT: &str = "default";
        let mut options = vec![DEFAULT.to_owned()];
        options.extend(question.choices.iter().cloned());
        let current = question.answer.first();
        let at = options.iter().position(|option| Some(option) == current).unwrap_or_default();
        let select = Select::new(question.label, options).with_starting_cursor(at);
        return Ok(match came(select.with_help_message(&question.help).prompt())? {
            Came::Answer(chosen) if chosen == DEFAULT => Came::Answer(String::new()),
            came => came,
        });
    }
    let is_list = question.ask == Ask::Entries;
    if is_list && !question.answer.is_empty() {
        for entry in &question.answer {
            say(&format!("    {entry}\n"));
        }
    }
    let label = match question.answer.len() {
        _ if !is_list => question.label.to_owned(),
        0 => format!("{} (Enter: none)", question.label),
        number => format!(
            "{} ({}; Enter: no more)",
            question.label,
            count(number, "entry").replace("entrys", "entries")
        ),
    };
    let current = if is_list { "" } else { question.answer.first().map_or("", String::as_str) };
    let help = if is_list && !question.answer.is_empty() {
        format!("{} -TEXT removes an entry.", question.help)
    } else {
        question.help.clone()
    };
    let check = |input: &str| -> Result<Validation, CustomUserError> {
        Ok(match form.check(input) {
            Ok(()) => Validation::Valid,
            Err(message) => Validation::Invalid(crate::printable::excerpt(&message).into()),
        })
    };
    let text = Text::new(&label).with_initial_value(current).with_help_message(&help).with_validator(check);
    came(text.with_autocomplete(picks.clone()).prompt())
}

type Reviewed = Result<(crate::form::Draft, Decision), Leaving>;

/// Shows the document and asks what happens to it; nothing if an answer is to be changed.
fn review(
    form: &mut Form,
    inventory: &Inventory,
    has_cluster: bool,
) -> Result<Came<Option<Reviewed>>, CliError> {
    const CREATE: &str = "Create it now";
    const WRITE: &str = "Write the YAML to a file, for Git";
    const BOTH: &str = "Write the file and create it now";
    const JOB: &str = "Show the Job of its first run";
    const CHANGE: &str = "Change an answer";
    const LEAVE: &str = "Leave without doing anything";
    let draft = form.draft().map_err(CliError::Usage)?;
    say(&format!("\nReview\n{}", yaml("the JobRequest", &Readable::new(draft.object()))?));
    let findings = form.judge()?;
    for finding in &findings {
        say(&format!("error: {finding}\n"));
    }
    if !draft.has_image() {
        say("warning: no container has an image; a default template must supply it\n");
    }
    for sentence in missing(draft.spec(), inventory) {
        say(&format!("warning: {sentence}\n"));
    }
    let mut options = Vec::new();
    if findings.is_empty() {
        options.extend(if has_cluster { vec![CREATE, WRITE, BOTH, JOB] } else { vec![WRITE, JOB] });
    }
    options.extend([CHANGE, LEAVE]);
    let chosen = match came(Select::new("What now?", options).prompt())? {
        Came::Answer(chosen) => chosen,
        Came::Back => return Ok(Came::Back),
        Came::Interrupted => return Ok(Came::Interrupted),
    };
    let file = match chosen {
        WRITE | BOTH => match came(file(draft.object()))? {
            Came::Answer(file) => Some(file),
            Came::Back => return Ok(Came::Answer(None)),
            Came::Interrupted => return Ok(Came::Interrupted),
        },
        JOB => {
            let job = form.job()?;
            say(&match job {
                Some(job) => yaml("the Job", &job)?,
                None => "there is no Job: templates that are not known here decide it\n".to_owned(),
            });
            return Ok(Came::Answer(None));
        }
        CHANGE => {
            let titles: Vec<_> = STEPS.iter().map(|step| step.title).collect();
            return Ok(match came(Select::new("Which step?", titles).raw_prompt())? {
                Came::Answer(chosen) => {
                    form.go_to(chosen.index + 1);
                    Came::Answer(None)
                }
                Came::Back => Came::Answer(None),
                Came::Interrupted => Came::Interrupted,
            });
        }
        LEAVE => return Ok(Came::Answer(Some(Err(Leaving::Chosen)))),
        _ => None,
    };
    let decision = Decision { file, is_created: chosen != WRITE };
    Ok(Came::Answer(Some(Ok((draft, decision)))))
}

/// Asks for the name of a new file.
fn file(object: &Value) -> Result<String, InquireError> {
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or("jobrequest");
    let is_new = |input: &str| -> Result<Validation, CustomUserError> {
        Ok(match input.trim() {
            "" => Validation::Invalid("a name is required".into()),
            name if Path::new(name).exists() => {
                Validation::Invalid("there is such a file; choose another name".into())
            }
            _ => Validation::Valid,
        })
    };
    let text = Text::new("File").with_initial_value(&format!("{name}.yaml")).with_validator(is_new).prompt();
    text.map(|name| name.trim().to_owned())
}
