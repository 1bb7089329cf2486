//! The form as a state machine: says what to ask next, takes the answer in or says why it cannot, and goes back.
//!
//! Answers are kept by question, also when somebody goes back; the document is made of all of them anew each time.

use std::collections::BTreeMap;

use serde_json::Value;

use super::draft::{Draft, Finding, Templates};
use super::flag::{Flag, config};
use super::inventory::{Inventory, Kind, Need};
use super::steps::{Ask, Item, STEPS};
use crate::manifest::SchemaError;

/// A place among the questions: the step, and the question in it.
type Place = (usize, usize);

/// What comes next.
#[derive(Clone, Debug)]
pub enum Asked {
    /// A question.
    Question(Question),
    /// All questions are answered.
    Review,
}

/// One question.
#[derive(Clone, Debug)]
pub struct Question {
    /// Number of the step, counted from 1.
    pub step: usize,
    /// Title of the step.
    pub title: &'static str,
    /// It is the first of its step.
    pub is_first: bool,
    /// What is asked for.
    pub label: &'static str,
    /// How to answer.
    pub help: String,
    /// How it is asked.
    pub ask: Ask,
    /// The values to choose from, if it is a choice.
    pub choices: Vec<String>,
    /// The answer so far: entries, or one text.
    pub answer: Vec<String>,
}

/// What can be picked for a question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suggestions {
    /// Whole answers that begin with, or contain, what was typed.
    pub options: Vec<String>,
    /// What is to be read first.
    pub need: Option<Need>,
}

/// The form: the answers so far, and where it is.
#[derive(Clone, Debug)]
pub struct Form {
    base: Draft,
    /// Flags that no question is about.
    others: Vec<Flag>,
    answers: BTreeMap<Place, Vec<String>>,
    at: Option<Place>,
    namespace: Option<String>,
    templates: Templates,
}

impl Form {
    /// A form with what is known already: the draft, and flags, which become answers.
    #[must_use]
    pub fn new(
        base: Draft,
        name: Option<&str>,
        flags: &[Flag],
        namespace: Option<&str>,
        templates: Templates,
    ) -> Self {
        let mut form = Self {
            base,
            others: Vec::new(),
            answers: BTreeMap::new(),
            at: Some((0, 0)),
            namespace: namespace.map(ToOwned::to_owned),
            templates,
        };
        let named = name.map(|name| Flag::new("NAME", name));
        for flag in named.into_iter().chain(flags.iter().cloned()) {
            match places().find(|(_, item)| item.flag == flag.name) {
                Some((place, item)) => {
                    let seconds =
                        (item.ask == Ask::Seconds).then(|| flag.value.trim_end_matches('s').to_owned());
                    form.answers.entry(place).or_default().push(seconds.unwrap_or(flag.value));
                }
                None => form.others.push(flag),
            }
        }
        form
    }

    /// What comes next.
    #[must_use]
    pub fn asked(&self) -> Asked {
        let Some((place, item)) = self.current() else { return Asked::Review };
        let (step, number) = place;
        Asked::Question(Question {
            step: step + 1,
            title: STEPS.get(step).map_or("", |step| step.title),
            is_first: number == 0,
            label: item.label,
            help: self.help(item),
            ask: item.ask,
            choices: self.choices(item),
            answer: self.answers.get(&place).cloned().unwrap_or_default(),
        })
    }

    fn current(&self) -> Option<(Place, &'static Item)> {
        let at = self.at?;
        places().find(|(place, _)| *place == at)
    }

    /// The first sentence of the field's description, with its default.
    fn help(&self, item: &Item) -> String {
        if !item.help.is_empty() {
            return item.help.to_owned();
        }
        let field = self.base.fields().field(item.field);
        let text = field.and_then(|field| field.description.clone()).unwrap_or_default();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_kept = |(number, sentence): &(usize, &str)| *number == 0 || sentence.starts_with("Default");
        let sentences =
            text.split(". ").enumerate().filter(is_kept).map(|(_, text)| text.trim_end_matches('.'));
        let kept: Vec<_> = sentences.collect();
        format!("{}.", kept.join(". "))
    }

    fn choices(&self, item: &Item) -> Vec<String> {
        if item.ask != Ask::Choice {
            return Vec::new();
        }
        let allowed = self.base.fields().field(item.field).and_then(|field| field.enum_.as_ref());
        let texts = allowed.into_iter().flatten().filter_map(|value| value.0.as_str().map(ToOwned::to_owned));
        texts.collect()
    }

    /// Why `input` cannot be the answer, or an entry of it; nothing if it can.
    ///
    /// # Errors
    /// What is wrong with it, as flags and `validate` say it.
    pub fn check(&self, input: &str) -> Result<(), String> {
        let Some((place, item)) = self.current() else { return Ok(()) };
        let input = input.trim();
        let mut changed = self.clone();
        let mut entries = self.answers.get(&place).cloned().unwrap_or_default();
        match item.ask {
            _ if input.is_empty() && item.flag == "NAME" => return Err("a name is required".to_owned()),
            _ if input.is_empty() => return Ok(()),
            Ask::Entries => match input.strip_prefix('-').map(|start| position(&entries, start)) {
                Some(Some(_)) => return Ok(()),
                Some(None) => return Err("no entry begins with that; -TEXT removes an entry".to_owned()),
                None => entries.push(input.to_owned()),
            },
            _ => entries = vec![input.to_owned()],
        }
        changed.answers.insert(place, entries);
        let after = changed.findings()?;
        let is_about = |finding: &&Finding| finding.flag == Some(item.flag);
        if !after.iter().any(|finding| is_about(&finding)) {
            return Ok(());
        }
        // What was wrong before is said where it was answered.
        let mut without = self.clone();
        if item.ask != Ask::Entries {
            without.answers.remove(&place);
        }
        let before = without.findings().unwrap_or_default();
        let new = after.iter().filter(is_about).find(|finding| !before.contains(finding));
        new.map_or(Ok(()), |finding| Err(finding.message.clone()))
    }

    fn findings(&self) -> Result<Vec<Finding>, String> {
        let draft = self.draft()?;
        draft
            .judge(self.namespace.as_deref(), &self.templates)
            .map_err(|error: SchemaError| error.to_string())
    }

    /// Everything that is wrong with the document of all answers.
    ///
    /// # Errors
    /// A schema of the CRDs uses what is not supported, which a test rules out.
    pub fn judge(&self) -> Result<Vec<Finding>, SchemaError> {
        match self.draft() {
            Ok(draft) => draft.judge(self.namespace.as_deref(), &self.templates),
            Err(message) => Ok(vec![Finding { flag: None, field: String::new(), message }]),
        }
    }

    /// The Job of the first run, if there is no problem and the templates are known.
    ///
    /// # Errors
    /// A schema of the CRDs uses what is not supported, which a test rules out.
    pub fn job(&self) -> Result<Option<Value>, SchemaError> {
        match (self.draft(), &self.templates) {
            (Ok(draft), Templates::Known(_)) => draft.job(self.namespace.as_deref(), &self.templates),
            _ => Ok(None),
        }
    }

    /// Takes an answer in, and moves to the next question. Of entries, each is added, or removed by `-` and its beginning;
    /// an empty one ends the question.
    ///
    /// # Errors
    /// It cannot be the answer; nothing has changed.
    pub fn answer(&mut self, input: &str) -> Result<(), String> {
        self.check(input)?;
        let Some((place, item)) = self.current() else { return Ok(()) };
        let input = input.trim();
        if item.ask == Ask::Entries && !input.is_empty() {
            let entries = self.answers.entry(place).or_default();
            match input.strip_prefix('-').and_then(|start| position(entries, start)) {
                Some(at) => drop(entries.remove(at)),
                None => entries.push(input.to_owned()),
            }
            return Ok(());
        }
        if item.ask != Ask::Entries {
            if input.is_empty() {
                self.answers.remove(&place);
            } else {
                self.answers.insert(place, vec![input.to_owned()]);
            }
        }
        self.at = places().map(|(place, _)| place).find(|next| *next > place);
        Ok(())
    }

    /// Goes one question back; every answer is kept. Returns whether there was one.
    pub fn back(&mut self) -> bool {
        let before =
            places().map(|(place, _)| place).filter(|place| self.at.is_none_or(|at| *place < at)).last();
        if before.is_some() {
            self.at = before;
        }
        before.is_some()
    }

    /// Goes to the first question of a step, counted from 1.
    pub fn go_to(&mut self, step: usize) {
        self.at = Some((step.saturating_sub(1).min(STEPS.len() - 1), 0));
    }

    /// The document of all answers.
    ///
    /// # Errors
    /// An answer cannot be read, which [`Form::check`] rules out.
    pub fn draft(&self) -> Result<Draft, String> {
        let mut draft = self.base.clone();
        for flag in &self.others {
            draft.add(flag).map_err(|error| error.message)?;
        }
        for (place, item) in places() {
            for text in self.answers.get(&place).into_iter().flatten() {
                match (item.flag, item.ask) {
                    ("NAME", _) => draft.name(text),
                    (flag, Ask::Words) => {
                        let words = shlex::split(text).ok_or_else(|| "a quote is not closed".to_owned())?;
                        draft.arguments(&words, flag == "--command").map_err(|error| error.message)?;
                    }
                    (flag, Ask::Seconds) => {
                        let seconds =
                            text.parse::<i64>().map_err(|_| "not a number of seconds".to_owned())?;
                        draft.add(&Flag::new(flag, format!("{seconds}s"))).map_err(|error| error.message)?;
                    }
                    (flag, _) => draft.add(&Flag::new(flag, text)).map_err(|error| error.message)?,
                }
            }
        }
        Ok(draft)
    }

    /// What can be picked for the question, of what `inventory` has.
    #[must_use]
    pub fn suggest(&self, input: &str, inventory: &Inventory) -> Suggestions {
        let Some((_, item)) = self.current() else { return Suggestions::default() };
        if let Some(kind) = item.picks {
            return matching(input, inventory.of(kind).unwrap_or_default().iter().cloned());
        }
        match item.flag {
            "--env" => match input.split_once('=') {
                Some((name, value)) => objects(&format!("{name}="), value, true, inventory),
                None => Suggestions::default(),
            },
            "--env-from" => objects("", input, false, inventory),
            "--mount" if !input.contains(':') => {
                let of = |word: &str, kind| {
                    let names = inventory.of(kind).unwrap_or_default().iter();
                    names.map(|name| format!("{word}/{name}:/")).collect::<Vec<_>>()
                };
                let all = [
                    vec!["empty:/".to_owned()],
                    of("pvc", Kind::Claim),
                    of("configmap", Kind::ConfigMap),
                    of("secret", Kind::Secret),
                ];
                if input.is_empty() {
                    Suggestions::default()
                } else {
                    matching(input, all.concat().into_iter())
                }
            }
            _ => Suggestions::default(),
        }
    }
}

/// `configmap/NAME` and `secret/NAME` after `before`, with their keys once one is named.
fn objects(before: &str, typed: &str, with_keys: bool, inventory: &Inventory) -> Suggestions {
    let kind_of = |kind: &str| if kind == "Secret" { Kind::Secret } else { Kind::ConfigMap };
    if let (true, Some((kind, object))) = (with_keys, config(typed))
        && let Some((name, _)) = object.split_once(':')
    {
        let kind = kind_of(kind);
        return match inventory.keys_of(kind, name) {
            None => Suggestions { options: Vec::new(), need: Some(Need::Keys(kind, name.to_owned())) },
            Some(keys) => {
                let at = typed.find(':').unwrap_or_default();
                let object = typed.get(..at).unwrap_or_default();
                let keys = keys.unwrap_or_default().iter();
                matching(&format!("{before}{typed}"), keys.map(|key| format!("{before}{object}:{key}")))
            }
        };
    }
    let is_begun = ["configmap/", "secret/"].iter().any(|word| typed.starts_with(word));
    if !is_begun {
        return Suggestions::default();
    }
    let end = if with_keys { ":" } else { "" };
    let of = |word: &str, kind| {
        let names = inventory.of(kind).unwrap_or_default().iter();
        names.map(|name| format!("{before}{word}/{name}{end}")).collect::<Vec<_>>()
    };
    let all = [of("configmap", Kind::ConfigMap), of("secret", Kind::Secret)].concat();
    matching(&format!("{before}{typed}"), all.into_iter())
}

fn matching(typed: &str, options: impl Iterator<Item = String>) -> Suggestions {
    Suggestions {
        options: options.filter(|option| option.contains(typed) && option != typed).collect(),
        need: None,
    }
}

/// Every question with its place, in order.
fn places() -> impl Iterator<Item = (Place, &'static Item)> {
    STEPS
        .iter()
        .enumerate()
        .flat_map(|(step, of)| of.items.iter().enumerate().map(move |(number, item)| ((step, number), item)))
}

/// The last entry that begins with `start`.
fn position(entries: &[String], start: &str) -> Option<usize> {
    entries.iter().rposition(|entry| !start.is_empty() && entry.starts_with(start))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::form::{Fields, command_of, same_spec};

    fn form() -> Form {
        form_with(None, &[])
    }

    fn form_with(name: Option<&str>, flags: &[Flag]) -> Form {
        let base = Draft::new(Arc::new(Fields::of_spec()), json!({}), None);
        Form::new(base, name, flags, None, Templates::Known(Vec::new()))
    }

    fn label(form: &Form) -> &'static str {
        match form.asked() {
            Asked::Question(question) => question.label,
            Asked::Review => "Review",
        }
    }

    /// Answers questions by their labels and passes over the others, to the review.
    fn answered(mut form: Form, script: &[(&str, &[&str])]) -> Form {
        let mut used = 0;
        while let Asked::Question(question) = form.asked() {
            let mut answers: Vec<&str> = Vec::new();
            if let Some((_, given)) = script.iter().find(|(label, _)| *label == question.label) {
                answers.extend(*given);
                used += 1;
            }
            let current = question.answer.first().cloned().unwrap_or_default();
            if question.ask == Ask::Entries {
                answers.push("");
            } else if answers.is_empty() {
                answers.push(&current);
            }
            for answer in answers {
                form.answer(answer).unwrap_or_else(|error| panic!("{}: {answer}: {error}", question.label));
            }
        }
        assert!(used >= script.len(), "a label is not asked for");
        form
    }

    const PI: &[(&str, &[&str])] = &[
        ("Name", &["job-demo"]),
        ("Alias", &["计算圆周率"]),
        ("Description", &["Pi to 2000 places"]),
        ("Completions", &["4"]),
        ("Parallelism", &["2"]),
        ("Backoff limit", &["5"]),
        ("Active deadline (seconds)", &["300"]),
        ("Image", &["perl:5.24.4"]),
        ("Command", &["perl"]),
        ("Arguments", &["-Mbignum=bpi -wle 'print bpi(2000)'"]),
    ];

    fn pi() -> Value {
        json!({
            "alias": "计算圆周率", "description": "Pi to 2000 places",
            "settings": {"completions": 4, "parallelism": 2, "backoffLimit": 5, "activeDeadlineSeconds": 300},
            "containers": [{
                "name": "main", "image": "perl:5.24.4", "command": ["perl"],
                "args": ["-Mbignum=bpi", "-wle", "print bpi(2000)"],
            }],
        })
    }

    #[test]
    fn a_script_of_answers_is_a_document() {
        let form = answered(form(), PI);
        let draft = form.draft().unwrap();
        assert_eq!(draft.object()["metadata"]["name"], "job-demo");
        assert_eq!(draft.spec(), &pi());
        assert_eq!(form.judge().unwrap(), []);
        assert!(form.job().unwrap().is_some());
    }

    #[test]
    fn going_back_keeps_every_answer() {
        let mut form = answered(form(), PI);
        let mut labels = vec![label(&form)];
        while form.back() {
            labels.push(label(&form));
            assert_eq!(form.draft().unwrap().spec(), &pi(), "after {}", label(&form));
        }
        assert_eq!(label(&form), "Name");
        assert!(!form.back());
        assert_eq!(labels.len(), places().count() + 1);
        // Forward again, taking what is there: the same document.
        assert_eq!(answered(form, &[]).draft().unwrap().spec(), &pi());
    }

    #[test]
    fn an_answer_is_judged_at_once() {
        for (at, wrong, message, right) in [
            ("Name", "Pi", "must be", "pi"),
            ("Name", "", "a name is required", "pi"),
            ("Alias", "x".repeat(64).leak(), "Too long", "ein π"),
            ("Completions", "two", "is not a whole number", "2"),
            ("Completions", "-1", "greater than or equal to 0", "2"),
            ("Active deadline (seconds)", "5m", "not a number of seconds", "300"),
            ("Restart policy", "Always", "Unsupported value", "Never"),
            ("Command", "sh 'x", "a quote is not closed", "sh x"),
            ("CPU", "lots", "must be", "500m:1"),
            ("CPU", "2:1", "a request is above its limit", "1:2"),
            ("Environment variables", "A", "write NAME=VALUE", "A=1"),
            ("Volumes", "pvc/data:data", "write pvc/NAME:/PATH", "pvc/data:/data"),
            ("Labels", "a b=c", "", "a=b"),
            (
                "More fields",
                "backoffLimit=1",
                "did you mean settings.backoffLimit?",
                "settings.backoffLimit=1",
            ),
        ] {
            let mut form = form();
            while label(&form) != at {
                let answer = if label(&form) == "Name" { "pi" } else { "" };
                form.answer(answer).unwrap();
            }
            let error = form.answer(wrong).unwrap_err();
            assert!(error.contains(message), "{at}: {wrong}: {error}");
            assert_eq!(label(&form), at);
            form.answer(right).unwrap_or_else(|error| panic!("{at}: {right}: {error}"));
        }
    }

    #[test]
    fn entries_are_added_and_removed() {
        let form = answered(
            form(),
            &[
                ("Name", &["pi"]),
                ("Image", &["perl:5"]),
                ("Environment variables", &["A=1", "B=secret/db:password", "-A", "C=3"]),
                ("Volumes", &["empty:/tmp", "pvc/data:/data:ro"]),
                ("More fields", &["containers[main].workingDir=/tmp"]),
            ],
        );
        let draft = form.draft().unwrap();
        let env = &draft.spec()["containers"][0]["env"];
        assert_eq!(env[0]["name"], "B");
        assert_eq!(env[1], json!({"name": "C", "value": "3"}));
        assert_eq!(draft.spec()["volumes"][1]["persistentVolumeClaim"]["claimName"], "data");
        assert!(form.clone().check("-nothing").is_ok(), "the review takes no entries");
    }

    #[test]
    fn flags_are_answers() {
        let flags = [
            Flag::new("--alias", "a"),
            Flag::new("--deadline", "300s"),
            Flag::new("--ttl", "60s"),
            Flag::new("--set", "settings.completionMode=Indexed"),
        ];
        let form = answered(form_with(Some("pi"), &flags), &[("Image", &["perl:5"])]);
        let draft = form.draft().unwrap();
        assert_eq!(
            draft.spec()["settings"],
            json!({"activeDeadlineSeconds": 300, "ttlSecondsAfterFinished": 60, "completionMode": "Indexed"})
        );
        assert_eq!(draft.spec()["alias"], "a");
    }

    #[test]
    fn the_command_says_the_same() {
        let draft = answered(form(), PI).draft().unwrap();
        let command = command_of(&Arc::new(Fields::of_spec()), draft.object());
        assert!(command.contains(&"--alias".to_owned()), "{command:?}");
        assert!(same_spec(draft.spec(), &pi()));
    }

    #[test]
    fn names_of_the_cluster_are_suggested_and_keys_once_an_object_is_named() {
        let mut inventory = Inventory::default();
        inventory.list(Kind::Secret, Some(vec!["db".to_owned(), "api".to_owned()]));
        inventory.list(Kind::Claim, Some(vec!["data".to_owned()]));
        inventory.templates(&[json!({
            "kind": "ClusterJobTemplate", "metadata": {"name": "platform"}, "spec": {"quotas": {"small": {}}},
        })]);
        let at = |wanted: &str| {
            let mut form = form();
            while label(&form) != wanted {
                form.answer(if label(&form) == "Name" { "pi" } else { "" }).unwrap();
            }
            form
        };
        let options =
            |form: &Form, input: &str, inventory: &Inventory| form.suggest(input, inventory).options;
        assert_eq!(options(&at("Template"), "", &inventory), ["cluster/platform"]);
        assert_eq!(options(&at("Size"), "sm", &inventory), ["small"]);
        assert_eq!(options(&at("Volumes"), "pvc", &inventory), ["pvc/data:/"]);
        let form = at("Environment variables");
        assert_eq!(options(&form, "P=secret/", &inventory), ["P=secret/db:", "P=secret/api:"]);
        let need = form.suggest("P=secret/db:", &inventory).need;
        assert_eq!(need, Some(Need::Keys(Kind::Secret, "db".to_owned())));
        inventory.keys(Kind::Secret, "db", Some(vec!["password".to_owned()]));
        assert_eq!(options(&form, "P=secret/db:", &inventory), ["P=secret/db:password"]);
        assert_eq!(options(&form, "P=plain", &inventory), [""; 0]);
    }

    #[test]
    fn help_comes_from_the_crd() {
        for (place, item) in places() {
            let mut form = form();
            form.at = Some(place);
            let Asked::Question(question) = form.asked() else { panic!("{}", item.label) };
            assert!(question.help.len() > 10, "{}: {:?}", item.label, question.help);
            assert_eq!(question.choices.is_empty(), item.ask != Ask::Choice, "{}", item.label);
        }
    }
}
