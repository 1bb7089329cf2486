//! Text that is safe to show. Takes any text; returns it without what a reader would not see and a terminal would obey.
//!
//! Names, messages and values come from anybody who may write an object. With characters that turn the direction of
//! what follows, that take no room, or that a terminal takes for commands, they can look like something else, in a
//! terminal, in a table, or in the output that a program reads. Every text that leaves goes through one of these
//! functions, in `cli::output`; what is quoted in a status does so when it is observed.
//!
//! [`printable`] is for people; [`escaped_json`] and [`escaped_yaml`] keep the value, for programs.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character is replaced: one that shows nothing, or that changes how others show.
///
/// These are all of Unicode's control and format characters (Cc, Cf), the two separators (Zl, Zp), and what else shows
/// nothing by default (`Default_Ignorable_Code_Point`), such as fillers and the variation selectors, in which text can
/// be hidden. Only U+FE0E and U+FE0F stay, which choose between the two looks of an emoji.
///
/// To be safe it makes no exceptions where a format character has good uses. So an emoji that is joined of several
/// (U+200D) falls into its parts, with a mark between them, and Persian or Indic words lose the non-joiner (U+200C); both
/// stay readable. Right-to-left letters need no format characters, and stay as they are.
#[must_use]
pub const fn is_invisible(character: char) -> bool {
    matches!(character,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}'
        | '\u{70f}' | '\u{890}' | '\u{891}' | '\u{8e2}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0d}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// `text` for people: colours are taken out, line ends are those of Unix, and every other invisible character but line
/// feed and tab is replaced by U+FFFD.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_replaced) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\r' => {
                if characters.peek() != Some(&'\n') {
                    clean.push('\n');
                }
            }
            '\u{1b}' if characters.next_if_eq(&'[').is_some() => {
                while characters.next_if(|next| matches!(next, ' '..='?')).is_some() {}
                characters.next_if(|next| matches!(next, '@'..='~'));
            }
            _ if is_replaced(character) => clean.push(char::REPLACEMENT_CHARACTER),
            _ => clean.push(character),
        }
    }
    Cow::Owned(clean)
}

/// `text` for people, in one line: also line feeds and tabs are replaced, each by a space.
#[must_use]
pub fn printable_line(text: &str) -> Cow<'_, str> {
    match printable(text) {
        Cow::Borrowed(text) if !text.contains(['\n', '\t']) => Cow::Borrowed(text),
        text => Cow::Owned(text.replace(['\n', '\t'], " ")),
    }
}

/// Maximum number of characters of an excerpt.
const MAX_EXCERPT_CHARACTERS: usize = 2000;

/// `text`, cut to 2,000 characters, with a mark where something is missing.
#[must_use]
pub fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_EXCERPT_CHARACTERS) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(text.get(..end).unwrap_or_default().to_owned() + "…"),
    }
}

/// `text` for people, in one line that is not endless.
#[must_use]
pub fn excerpt(text: &str) -> String {
    printable_line(&shortened(text)).into_owned()
}

/// The same JSON, with invisible characters as escapes: `\u202e`. Takes JSON as serde_json writes it, in which line feeds
/// stand between values only.
#[must_use]
pub fn escaped_json(json: &str) -> Cow<'_, str> {
    escaped(json, |character, text| {
        let mut units = [0; 2];
        for unit in character.encode_utf16(&mut units) {
            let _ = write!(text, "\\u{unit:04x}");
        }
    })
}

/// The same YAML, with invisible characters as escapes. Takes YAML in which they stand in double quotes only: texts for
/// which [`needs_double_quotes`] holds must have them.
#[must_use]
pub fn escaped_yaml(yaml: &str) -> Cow<'_, str> {
    escaped(yaml, |character, text| {
        // kubectl's YAML knows no surrogates.
        let code = u32::from(character);
        let _ = if code <= 0xffff { write!(text, "\\u{code:04X}") } else { write!(text, "\\U{code:08X}") };
    })
}

/// Whether a text of YAML can be written in double quotes only.
#[must_use]
pub fn needs_double_quotes(text: &str) -> bool {
    text.contains(is_replaced)
}

fn escaped(text: &str, escape: impl Fn(char, &mut String)) -> Cow<'_, str> {
    if !text.contains(is_replaced) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    for character in text.chars() {
        if is_replaced(character) {
            escape(character, &mut clean);
        } else {
            clean.push(character);
        }
    }
    Cow::Owned(clean)
}

/// Line feed and tab are part of a text's shape.
fn is_replaced(character: char) -> bool {
    is_invisible(character) && !matches!(character, '\n' | '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All of Unicode, less the surrogates.
    fn every_character() -> impl Iterator<Item = char> {
        '\0'..=char::MAX
    }

    #[test]
    fn what_is_invisible_is_what_unicode_says() {
        let unicode = regex::Regex::new(
            r"^[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}--[\x{FE0E}\x{FE0F}]]$",
        )
        .unwrap();
        let mut text = [0; 4];
        for character in every_character() {
            let is = unicode.is_match(character.encode_utf8(&mut text));
            assert_eq!(is_invisible(character), is, "U+{:04X}", u32::from(character));
        }
    }

    #[test]
    fn nothing_invisible_is_left() {
        for character in every_character() {
            let text = format!("a{character}b");
            let shown = printable(&text);
            assert!(!shown.chars().any(|shown| is_invisible(shown) && !"\n\t".contains(shown)), "{text:?}");
            // Nothing else is touched, and nothing vanishes but half of a line end.
            match character {
                '\r' => assert_eq!(shown, "a\nb"),
                _ if is_invisible(character) && !"\n\t".contains(character) => {
                    assert_eq!(shown, "a\u{fffd}b");
                }
                _ => assert_eq!(shown, text),
            }
            assert!(!printable_line(&text).contains(is_invisible), "{text:?}");
        }
    }

    #[test]
    fn json_stays_the_same_value() {
        for character in every_character() {
            let text = format!("a{character}b");
            let json = serde_json::to_string(&text).unwrap();
            let shown = escaped_json(&json);
            assert!(!shown.contains(is_invisible), "{text:?}: {shown}");
            assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
        }
    }

    #[test]
    fn text_of_people_stays_readable() {
        for (text, shown) in [
            ("计算圆周率", "计算圆周率"),
            ("حساب الأعداد", "حساب الأعداد"),
            ("חישוב פאי", "חישוב פאי"),
            ("naïve ❤️ 👍🏽 🇳🇱 e\u{301}", "naïve ❤️ 👍🏽 🇳🇱 e\u{301}"),
            ("👩\u{200d}👧", "👩\u{fffd}👧"),
            ("می\u{200c}خواهم", "می\u{fffd}خواهم"),
            ("a\tb\r\nc\rd", "a\tb\nc\nd"),
            ("\u{1b}[1;31mred\u{1b}[0m \u{7}\u{202e}x", "red \u{fffd}\u{fffd}x"),
            ("\u{9b}31mred", "\u{fffd}31mred"),
            ("\u{1b}]0;title\u{7}", "\u{fffd}]0;title\u{fffd}"),
            ("admin\u{200b}", "admin\u{fffd}"),
        ] {
            assert_eq!(printable(text), shown);
        }
    }
}
