//! Text that is safe to show on a terminal.

/// Most characters of a text that are shown.
const SHOWN: usize = 2000;

/// `text` without control characters, which could do things to a terminal, and not endless.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(SHOWN)
        .map(|character| if character.is_control() { '\u{fffd}' } else { character })
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}
