//! Paths of fields as people write them: `settings.backoffLimit`, `containers[main].env[DEBUG].value`,
//! `labels[example.com/tier]`.

/// A part of a path, without its punctuation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A name after a dot.
    Name(String),
    /// A name, or a number, in brackets.
    Bracketed(String),
}

impl Token {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Name(text) | Self::Bracketed(text) => text,
        }
    }
}

/// The parts of a path; none if it is not well-formed.
pub(super) fn tokens(path: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (key, after) = inner.split_at(closing(inner)?);
            tokens.push(Token::Bracketed(key.to_owned()));
            rest = after.strip_prefix(']')?;
        } else {
            let bare = if tokens.is_empty() { rest } else { rest.strip_prefix('.')? };
            let end = bare.find(['.', '[']).unwrap_or(bare.len());
            let (name, after) = bare.split_at(end);
            if name.is_empty() || name.contains(']') {
                return None;
            }
            tokens.push(Token::Name(name.to_owned()));
            rest = after;
        }
    }
    (!tokens.is_empty()).then_some(tokens)
}

/// Where the bracket ends: at the first `]` after which a path can end or continue, so that a key may hold others.
fn closing(inner: &str) -> Option<usize> {
    let is_end = |at: &usize| {
        let after = inner.get(at + 1..).unwrap_or_default();
        after.is_empty() || after.starts_with(['.', '['])
    };
    inner.match_indices(']').map(|(at, _)| at).find(is_end).filter(|at| *at > 0)
}

/// `PATH=VALUE` at the first `=` outside of brackets.
pub(super) fn split_assignment(text: &str) -> Option<(&str, &str)> {
    let is_inside = |at: usize| {
        let before = text.get(..at).unwrap_or_default();
        before.matches('[').count() > before.matches(']').count()
    };
    let (at, _) = text.match_indices('=').find(|(at, _)| !is_inside(*at))?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// `path` with the field `name` after it; brackets where the name needs them.
pub(super) fn join(path: &str, name: &str) -> String {
    let is_plain =
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    match (is_plain, path.is_empty()) {
        (true, true) => name.to_owned(),
        (true, false) => format!("{path}.{name}"),
        (false, _) => format!("{path}[{name}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(path: &str) -> Option<String> {
        let tokens = tokens(path)?;
        let show = |token: &Token| match token {
            Token::Name(name) => format!(".{name}"),
            Token::Bracketed(key) => format!("[{key}]"),
        };
        Some(tokens.iter().map(show).collect())
    }

    #[test]
    fn a_path_has_names_and_brackets() {
        for (path, wanted) in [
            ("alias", ".alias"),
            ("settings.backoffLimit", ".settings.backoffLimit"),
            ("containers[main].env[DEBUG].value", ".containers[main].env[DEBUG].value"),
            ("labels[example.com/a.b]", ".labels[example.com/a.b]"),
            ("containers[main].mounts[/a]b].readOnly", ".containers[main].mounts[/a]b].readOnly"),
        ] {
            assert_eq!(shown(path).as_deref(), Some(wanted), "{path}");
        }
        for path in ["", ".", "a.", "a..b", "a[", "a[]", "a]b", "a[b]c", ".a"] {
            assert_eq!(shown(path), None, "{path}");
        }
    }

    #[test]
    fn an_assignment_is_split_outside_of_brackets() {
        for (text, wanted) in [
            ("alias=a=b", Some(("alias", "a=b"))),
            ("alias=", Some(("alias", ""))),
            (
                "containers[m].mounts[/a=b].readOnly=true",
                Some(("containers[m].mounts[/a=b].readOnly", "true")),
            ),
            ("alias", None),
        ] {
            assert_eq!(split_assignment(text), wanted, "{text}");
        }
    }
}
