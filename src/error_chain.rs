//! An error with its sources in one line, each of which is said once: some libraries repeat the source in their own text.

use std::error::Error;

/// The error in one line. `reword` gives other words for an error, and for all that it stands for; `None`: its own, and
/// then its source.
pub fn in_one_line(
    error: &(dyn Error + 'static),
    reword: &impl Fn(&(dyn Error + 'static)) -> Option<String>,
) -> String {
    if let Some(words) = reword(error) {
        return words;
    }
    let text = error.to_string();
    let Some(source) = error.source() else { return text };
    let repeated = source.to_string();
    if !repeated.is_empty() && text.contains(&repeated) {
        text.replace(&repeated, &in_one_line(source, reword))
    } else {
        format!("{text}: {}", in_one_line(source, reword))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        source: Option<Box<Link>>,
    }

    fn link(text: &'static str, source: Option<Link>) -> Link {
        Link { text, source: source.map(Box::new) }
    }

    #[test]
    fn every_source_is_said_once() {
        let middle = link("tcp connect: connection refused", Some(link("connection refused", None)));
        let error = link("could not list the JobTemplates", Some(middle));
        let line = in_one_line(&error, &|_| None);
        assert_eq!(line, "could not list the JobTemplates: tcp connect: connection refused");
    }

    #[test]
    fn other_words_replace_an_error_and_what_repeats_it() {
        let error = link("could not connect: secret", Some(link("secret", None)));
        let line =
            in_one_line(&error, &|error| (error.to_string() == "secret").then(|| "refused".to_owned()));
        assert_eq!(line, "could not connect: refused");
    }
}
