//! Did you mean: the name that is nearest to a misspelt one.

/// `"name"`.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.escape_debug())
}

/// `; did you mean "name"?`, when one of `names` is near enough.
pub(super) fn did_you_mean<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    if wrong.len() > 100 {
        return None;
    }
    let lower = wrong.to_lowercase();
    names
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name))
        .min()
        .filter(|(distance, name)| *distance <= wrong.len().max(name.len()) / 3)
        .map(|(_, name)| format!("; did you mean {}?", quoted(name)))
}
