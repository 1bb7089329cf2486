//! Where kubectl's YAML 1.1 (go-yaml v2) differs from this parser: such input is rejected rather than read differently.

/// The text means something else to kubectl, or nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Difference {
    #[error("a NUL character is not allowed in YAML")]
    Nul,
    #[error("the character U+{0:04X} is a line break to kubectl; write \\u{0:04x} in double quotes")]
    LineBreak(u32),
    #[error("kubectl does not support the escape \\/; write / without the backslash")]
    EscapedSlash,
    #[error("kubectl does not support the escape \\u{0}; write the character itself")]
    EscapedSurrogate(String),
    #[error("kubectl reads {0} differently in brackets or braces; put it in quotes")]
    PlainInFlow(&'static str),
}

/// The first character, with its position in bytes, that kubectl would not read as a character.
pub(super) fn character(text: &str, is_json: bool) -> Option<(usize, Difference)> {
    text.char_indices().find_map(|(byte, character)| match character {
        '\0' => Some((byte, Difference::Nul)),
        '\u{85}' | '\u{2028}' | '\u{2029}' if !is_json => {
            Some((byte, Difference::LineBreak(u32::from(character))))
        }
        _ => None,
    })
}

/// Checks a double-quoted string: JSON has escapes that kubectl's YAML lacks.
pub(super) fn escapes(quoted: &str) -> Result<(), Difference> {
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            continue;
        }
        match characters.next() {
            Some('/') => return Err(Difference::EscapedSlash),
            Some('u') => {
                let code: String = characters.by_ref().take(4).collect();
                if u32::from_str_radix(&code, 16).is_ok_and(|code| (0xd800..0xe000).contains(&code)) {
                    return Err(Difference::EscapedSurrogate(code));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Checks an unquoted string in brackets or braces; `after` is what follows it.
pub(super) fn plain_in_flow(plain: &str, after: &str, is_key: bool) -> Result<(), Difference> {
    let refused = |what| Err(Difference::PlainInFlow(what));
    if plain.contains('?') {
        return refused("a string with '?'");
    }
    if plain.starts_with(':') {
        return refused("a string that begins with ':'");
    }
    // No further: what follows may be most of the document, and this runs for every string in it.
    let rest = after.trim_start();
    let gap = after.get(..after.len() - rest.len()).unwrap_or_default();
    let gap = if rest.is_empty() || rest.starts_with(':') { gap } else { "" };
    if is_key && [plain, gap].iter().any(|text| text.contains(['\n', '\r'])) {
        return refused("a key that spans several lines");
    }
    if after.strip_prefix(':').is_some_and(|after| after.starts_with([',', '[', ']', '{', '}'])) {
        return refused("a string that ends with ':'");
    }
    Ok(())
}
