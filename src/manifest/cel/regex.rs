//! Regular expressions as Go's RE2 reads them.

use regex::{Regex, RegexBuilder};

/// Compiles an expression of RE2. Its classes `\s`, `\d` and `\w` are of ASCII alone.
///
/// # Errors
/// It is not well-formed, or too large.
pub(in crate::cli) fn regex(pattern: &str) -> Result<Regex, String> {
    let mut ascii = String::with_capacity(pattern.len());
    let mut in_class = false;
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => {
                let escaped = characters.next().unwrap_or_default();
                let members = match escaped {
                    's' => r"\t\n\f\r ",
                    'd' => "0-9",
                    'w' => "0-9A-Za-z_",
                    _ => {
                        ascii.push('\\');
                        ascii.push(escaped);
                        continue;
                    }
                };
                if in_class {
                    ascii.push_str(members);
                } else {
                    ascii.push('[');
                    ascii.push_str(members);
                    ascii.push(']');
                }
                continue;
            }
            '[' => in_class = true,
            ']' => in_class = false,
            _ => {}
        }
        ascii.push(character);
    }
    RegexBuilder::new(&ascii).size_limit(1 << 22).build().map_err(|error| error.to_string())
}
