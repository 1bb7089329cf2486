//! Paths of fields below `spec`, as `policy.locked` and `without` hold them, read into a type that only the path of a
//! field becomes.
//!
//! `settings.backoffLimit` is a field of fields, `containers[main].image` one of an item of a list, which is known by
//! its name and never by its place, `labels.tier` or `labels[example.com/tier]` an entry of a map, and `[*]` stands for
//! every item or entry.

mod error;
mod key_form;

use super::merge_schema::MergeSchema;
use super::value_tree::join;
pub(in crate::compile) use error::{FieldPathError, FieldPathReason};
use key_form::KeyForm;

/// A field, an item of a list or an entry of a map, or every one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::compile) struct FieldPath {
    text: String,
    steps: Vec<Step>,
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::compile) enum Step {
    /// A field.
    Field(String),
    /// An entry of a map, or an item of a list.
    Key(String),
    /// Every entry, or every item.
    Every,
}

impl Step {
    /// The field, entry or item called `name` is meant.
    pub(in crate::compile) fn is_of(&self, name: &str) -> bool {
        match self {
            Self::Field(known) | Self::Key(known) => known == name,
            Self::Every => true,
        }
    }
}

/// Which containers a path is about. The names of containers are unique in a pod, init containers and sidecars included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::compile) enum Containers<'a> {
    /// Every one; of init containers only, those and sidecars.
    Every,
    /// The one of this name.
    Named(&'a str),
}

impl Containers<'_> {
    /// The container called `name` is one of them.
    pub(in crate::compile) fn include(&self, name: &str) -> bool {
        match self {
            Self::Every => true,
            Self::Named(known) => *known == name,
        }
    }
}

impl FieldPath {
    /// The path of a field that only templates have.
    pub(in crate::compile) fn of_template(field: &str) -> Self {
        Self { text: field.to_owned(), steps: vec![Step::Field(field.to_owned())] }
    }

    /// Reads a path.
    ///
    /// # Errors
    /// Why it is no path of anything, and what to write instead.
    pub(in crate::compile) fn parse(text: &str) -> Result<Self, FieldPathError> {
        match Self::steps_of(text) {
            Ok(steps) => Ok(Self { text: text.to_owned(), steps }),
            Err(reason) => Err(FieldPathError { path: text.to_owned(), reason }),
        }
    }

    fn steps_of(text: &str) -> Result<Vec<Step>, FieldPathReason> {
        let tokens = tokens(text).ok_or(FieldPathReason::NoPath)?;
        let mut schema = MergeSchema::spec();
        let mut steps = Vec::new();
        // What was read so far, and its last name.
        let (mut read, mut list) = (String::new(), "");
        // What makes the items of a list known, if one was just entered.
        let mut known_by: &[String] = &[];
        for token in tokens {
            let step = match (schema, token) {
                (MergeSchema::Fields { .. }, Token::Name(name)) if known_by.iter().any(|key| key == name) => {
                    return Err(FieldPathReason::IdentifyingField { read, name: name.to_owned() });
                }
                (MergeSchema::Fields { fields, .. }, Token::Name(name)) if fields.contains_key(name) => {
                    Step::Field(name.to_owned())
                }
                (MergeSchema::Fields { .. }, Token::Name(_)) if read.is_empty() => {
                    return Err(FieldPathReason::UnknownRoot);
                }
                (MergeSchema::Fields { .. }, Token::Name(name)) => {
                    return Err(FieldPathReason::UnknownField { read, name: name.to_owned() });
                }
                (MergeSchema::Fields { .. }, Token::Bracketed(key)) => {
                    return Err(FieldPathReason::BracketedField { instead: join(&read, key) });
                }
                (
                    MergeSchema::Entries(_) | MergeSchema::Items { .. } | MergeSchema::Set,
                    Token::Bracketed("*"),
                ) => Step::Every,
                (MergeSchema::Entries(_), Token::Name(key) | Token::Bracketed(key))
                | (MergeSchema::Items { .. } | MergeSchema::Set, Token::Bracketed(key)) => {
                    check_key(&read, list, key)?;
                    Step::Key(key.to_owned())
                }
                (MergeSchema::Items { .. } | MergeSchema::Set, Token::Name(name)) => {
                    return Err(FieldPathReason::FieldOfList { read, name: name.to_owned() });
                }
                (MergeSchema::Whole, _) => return Err(FieldPathReason::PartOfWhole { read }),
            };
            known_by = if let MergeSchema::Items { keys, .. } = schema { keys } else { &[] };
            schema = schema.child(token.text());
            match token {
                Token::Name(name) => {
                    if !read.is_empty() {
                        read.push('.');
                    }
                    read.push_str(name);
                    list = name;
                }
                Token::Bracketed(key) => {
                    read.push('[');
                    read.push_str(key);
                    read.push(']');
                }
            }
            steps.push(step);
        }
        Ok(steps)
    }

    /// As it was written.
    pub(in crate::compile) fn text(&self) -> &str {
        &self.text
    }

    /// All steps.
    pub(in crate::compile) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The list of containers that it goes into, which of them it is about, and the steps within each.
    pub(in crate::compile) fn containers(&self) -> Option<(&str, Containers<'_>, &[Step])> {
        let (list, rest) = self.steps.split_first()?;
        let Step::Field(list) = list else { return None };
        if list != "containers" && list != "initContainers" {
            return None;
        }
        Some(match rest.split_first() {
            Some((Step::Key(name), within)) => (list, Containers::Named(name), within),
            Some((Step::Every | Step::Field(_), within)) => (list, Containers::Every, within),
            None => (list, Containers::Every, &[]),
        })
    }

    /// It is of the value at `path` of the compiled Job's numbers, for example `settings.parallelism` or
    /// `initContainers[proxy].resources.limits.cpu`.
    pub(in crate::compile) fn covers(&self, path: &str) -> bool {
        let Some(tokens) = tokens(path) else { return false };
        let names: Vec<&str> = tokens.iter().map(Token::text).collect();
        match (self.containers(), names.as_slice()) {
            (Some((list, containers, within)), [of, name, field @ ..]) => {
                let is_in_list = list == *of || (list == "containers" && *of == "initContainers");
                is_in_list && containers.include(name) && is_prefix(within, field)
            }
            (Some(_), _) => false,
            (None, names) => is_prefix(&self.steps, names),
        }
    }
}

/// A security setting of a pod or container that a spec has, too, at the same place below `parent`.
pub(in crate::compile) fn is_security_setting(field: &str, parent: &str) -> bool {
    field.starts_with("securityContext.") && FieldPath::parse(&format!("{parent}{field}")).is_ok()
}

fn is_prefix(steps: &[Step], names: &[&str]) -> bool {
    steps.len() <= names.len() && steps.iter().zip(names).all(|(step, name)| step.is_of(name))
}

/// Refuses a key that nothing in `list` can have; `read` is the path of the list.
fn check_key(read: &str, list: &str, key: &str) -> Result<(), FieldPathReason> {
    let form = KeyForm::of(list);
    if form.fits(key) {
        return Ok(());
    }
    let bare = key.trim_matches(|c: char| c.is_whitespace() || "\"'`".contains(c));
    let (read, key) = (read.to_owned(), key.to_owned());
    Err(if bare != key && form.fits(bare) {
        FieldPathReason::QuotedKey { read, bare: bare.to_owned(), key }
    } else {
        FieldPathReason::ImpossibleKey { read, key, example: form.example() }
    })
}

/// A part of a path, without its punctuation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    Name(&'a str),
    Bracketed(&'a str),
}

impl<'a> Token<'a> {
    const fn text(&self) -> &'a str {
        match self {
            Self::Name(text) | Self::Bracketed(text) => text,
        }
    }
}

/// `labels[a.b/c].d` as `labels`, `[a.b/c]`, `d`; `None` for what is no path.
fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (key, after) = inner.split_once(']')?;
            tokens.push(Token::Bracketed(key));
            rest = after;
        } else {
            let bare = if tokens.is_empty() { rest } else { rest.strip_prefix('.')? };
            let (name, after) = bare.split_at(bare.find(['.', '[']).unwrap_or(bare.len()));
            if name.is_empty() {
                return None;
            }
            tokens.push(Token::Name(name));
            rest = after;
        }
    }
    matches!(tokens.first(), Some(Token::Name(_))).then_some(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_something_is_a_path() {
        for good in [
            "restartPolicy",
            "settings",
            "settings.backoffLimit",
            "labels",
            "labels.tier",
            "labels[tier]",
            "labels[*]",
            "labels[app.kubernetes.io/name]",
            "containers",
            "containers[*]",
            "containers[main]",
            "containers[main].image",
            "containers[*].image",
            "containers[*].imagePullPolicy",
            "initContainers[*].image",
            "containers[main].env",
            "containers[main].env[*]",
            "containers[main].env[A_B].value",
            "containers[main].ports[8080/TCP]",
            "containers[main].mounts[/var/lib]",
            "containers[main].resources.limits.cpu",
            "containers[main].resources.limits[nvidia.com/gpu]",
            "containers[*].resources.limits[*]",
            "imagePullSecrets[registry]",
            "volumes[data].emptyDir",
            "overrides",
        ] {
            let parsed = FieldPath::parse(good);
            assert_eq!(parsed.as_ref().map(FieldPath::text), Ok(good));
        }
    }

    #[test]
    fn what_can_hold_nothing_is_refused_with_the_way_out() {
        for (bad, way_out) in [
            ("restart", "is no field of a JobRequest's spec; write it as explain shows it"),
            ("settings.backofLimit", "settings has no field backofLimit"),
            ("settings[backoffLimit]", "write settings.backoffLimit"),
            ("containers[main].imag", "containers[main] has no field imag"),
            (
                "containers.image",
                "write containers[NAME].image for one item, or containers[*].image for every one",
            ),
            ("containers[0].image", "write containers[NAME] for one, or containers[*] for every one"),
            ("containers[\"main\"].image", "write containers[main], without quotes and blanks"),
            ("containers['main'].image", "write containers[main], without quotes and blanks"),
            ("containers[ main ].image", "write containers[main], without quotes and blanks"),
            ("containers[Main].image", "nothing in containers can be called `Main`"),
            ("containers[].image", "nothing in containers can be called"),
            ("containers[main].name", "write containers[main]"),
            ("containers[main].command[0]", "containers[main].command is replaced as a whole"),
            ("containers[main].ports[8080]", "write containers[main].ports[8080/TCP] for one"),
            ("containers[main].ports[web/TCP]", "8080/TCP"),
            ("containers[main].env[\"A\"]", "write containers[main].env[A]"),
            ("containers[*", "is no path"),
            ("containers[main]image", "is no path"),
            ("containers..image", "is no path"),
            ("[main]", "is no path"),
            ("", "is no path"),
            ("env[*]", "is no field of a JobRequest's spec"),
            ("imagePullSecrets.registry", "is a list"),
            ("volumes[data].emptyDir.medium", "write volumes[data].emptyDir"),
            ("overrides.template", "write overrides"),
            ("labels[a b]", "nothing in labels can be called `a b`"),
        ] {
            let refused = FieldPath::parse(bad).unwrap_err().to_string();
            assert!(refused.starts_with(bad) && refused.contains(way_out), "{bad}: {refused}");
        }
    }

    #[test]
    fn a_lock_covers_what_lies_below_it() {
        let covers = |lock: &str, path: &str| FieldPath::parse(lock).unwrap().covers(path);
        assert!(covers("settings", "settings.parallelism"));
        assert!(covers("settings.parallelism", "settings.parallelism"));
        assert!(!covers("settings.backoffLimit", "settings.parallelism"));
        assert!(covers("containers[main].resources", "containers[main].resources.limits.cpu"));
        assert!(covers(
            "containers[*].resources.limits[*]",
            "initContainers[side].resources.limits[a.com/b]"
        ));
        assert!(covers("containers", "initContainers[side].resources.limits.cpu"));
        assert!(covers("initContainers[side].resources", "initContainers[side].resources.limits.cpu"));
        assert!(!covers("initContainers[*].resources", "containers[main].resources.limits.cpu"));
        assert!(!covers("containers[main].resources", "containers[side].resources.limits.cpu"));
    }
}
