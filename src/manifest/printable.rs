//! Text that is safe to show on a terminal.

/// Maximum number of characters of a text that are shown.
const MAX_SHOWN_CHARACTERS: usize = 2000;

/// `text` without control characters, which could do things to a terminal, and not endless.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(MAX_SHOWN_CHARACTERS)
        .map(|character| if character.is_control() { '\u{fffd}' } else { character })
        .collect();
    if text.chars().nth(MAX_SHOWN_CHARACTERS).is_some() {
        shown.push('…');
    }
    shown
}
