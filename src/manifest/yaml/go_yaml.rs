//! Where kubectl's YAML 1.1 (go-yaml v2) differs from this parser: such input is rejected rather than read differently.

/// The first character, with its position in bytes, that kubectl would not read as a character.
pub(super) fn character(text: &str, is_json: bool) -> Option<(usize, String)> {
    text.char_indices().find_map(|(byte, character)| {
        let message = match character {
            '\0' => "a NUL character is not allowed in YAML".to_owned(),
            '\u{85}' | '\u{2028}' | '\u{2029}' if !is_json => {
                let code = u32::from(character);
                format!("the character U+{code:04X} is a line break to kubectl; write \\u{code:04x} in double quotes")
            }
            _ => return None,
        };
        Some((byte, message))
    })
}

/// Checks a double-quoted string: JSON has escapes that kubectl's YAML lacks.
pub(super) fn escapes(quoted: &str) -> Result<(), String> {
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            continue;
        }
        match characters.next() {
            Some('/') => {
                return Err(
                    "kubectl does not support the escape \\/; write / without the backslash".to_owned()
                );
            }
            Some('u') => {
                let code: String = characters.by_ref().take(4).collect();
                if u32::from_str_radix(&code, 16).is_ok_and(|code| (0xd800..0xe000).contains(&code)) {
                    return Err(format!(
                        "kubectl does not support the escape \\u{code}; write the character itself"
                    ));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Checks an unquoted string in brackets or braces; `after` is what follows it.
pub(super) fn plain_in_flow(plain: &str, after: &str, is_key: bool) -> Result<(), String> {
    let refused =
        |what: &str| Err(format!("kubectl reads {what} differently in brackets or braces; put it in quotes"));
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
