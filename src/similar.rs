//! Did you mean: the name closest to a misspelled one.

/// Texts longer than this are no misspelled name.
const LONGEST: usize = 100;

/// The one of `names` that is close enough to `wrong` to be meant.
#[must_use]
pub fn closest<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if wrong.len() > LONGEST {
        return None;
    }
    let lower = wrong.to_lowercase();
    names
        .map(|name| (strsim::damerau_levenshtein(&lower, &name.to_lowercase()), name))
        .min()
        .filter(|(distance, name)| *distance <= wrong.len().max(name.len()) / 3)
        .map(|(_, name)| name)
}
