//! Where kubectl's YAML (1.1, by go-yaml v2) parts from the parser's: such texts are refused, not read otherwise.

/// The first character, with its place in bytes, that kubectl would not read as a character.
pub(super) fn character(text: &str, is_json: bool) -> Option<(usize, String)> {
    text.char_indices().find_map(|(byte, character)| {
        let message = match character {
            '\0' => "a NUL character cannot stand in YAML".to_owned(),
            '\u{85}' | '\u{2028}' | '\u{2029}' if !is_json => {
                let code = u32::from(character);
                format!("the character U+{code:04X} is a line break to kubectl; write \\u{code:04x} in double quotes")
            }
            _ => return None,
        };
        Some((byte, message))
    })
}

/// Checks a text in double quotes: JSON has escapes which kubectl's YAML has not.
pub(super) fn escapes(quoted: &str) -> Result<(), String> {
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            continue;
        }
        match characters.next() {
            Some('/') => return Err("kubectl does not know the escape \\/; write / alone".to_owned()),
            Some('u') => {
                let code: String = characters.by_ref().take(4).collect();
                if u32::from_str_radix(&code, 16).is_ok_and(|code| (0xd800..0xe000).contains(&code)) {
                    return Err(format!(
                        "kubectl does not know the escape \\u{code}; write the character itself"
                    ));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Checks a text without quotes in brackets or braces; `after` is what follows it.
pub(super) fn plain_in_flow(plain: &str, after: &str, is_key: bool) -> Result<(), String> {
    let refused =
        |what: &str| Err(format!("{what} is not read so by kubectl in brackets or braces; put it in quotes"));
    if plain.contains('?') {
        return refused("a text with '?'");
    }
    if plain.starts_with(':') {
        return refused("a text that begins with ':'");
    }
    // No further: what follows may be most of the document, and is looked at for every text in it.
    let rest = after.trim_start();
    let gap = after.get(..after.len() - rest.len()).unwrap_or_default();
    let gap = if rest.is_empty() || rest.starts_with(':') { gap } else { "" };
    if is_key && [plain, gap].iter().any(|text| text.contains(['\n', '\r'])) {
        return refused("a key of several lines");
    }
    if after.strip_prefix(':').is_some_and(|after| after.starts_with([',', '[', ']', '{', '}'])) {
        return refused("a text with ':' at its end");
    }
    Ok(())
}
