//! Regular expressions as Go's RE2 reads them.

use regex::{Regex, RegexBuilder};

use super::error::CelError;

/// Maximum size of a compiled expression.
const MAX_COMPILED_BYTES: usize = 1 << 22;

/// Compiles an expression of RE2, whose classes `\s`, `\d` and `\w` are ASCII only.
///
/// # Errors
/// It is not well-formed, or too large.
pub(in crate::manifest) fn regex(pattern: &str) -> Result<Regex, CelError> {
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
    Ok(RegexBuilder::new(&ascii).size_limit(MAX_COMPILED_BYTES).build()?)
}
