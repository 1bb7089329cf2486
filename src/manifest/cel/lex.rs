//! Text of CEL into tokens.

use super::error::CelError;

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Name(String),
    Integer(i64),
    Float(f64),
    Text(String),
    /// Operators and brackets.
    Sign(&'static str),
}

/// Longest first.
const SIGNS: [&str; 24] = [
    "||", "&&", "==", "!=", "<=", ">=", "<", ">", "!", "+", "-", "*", "/", "%", "?", ":", ".", ",", "(", ")",
    "[", "]", "{", "}",
];

/// All tokens of `source`.
pub(super) fn lex(source: &str) -> Result<Vec<Token>, CelError> {
    let mut tokens = Vec::new();
    let mut rest = source.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_raw = (rest.starts_with("r'") || rest.starts_with("r\"")).then_some(1);
        let (token, after) = if first == '\'' || first == '"' || is_raw.is_some() {
            text(rest.get(is_raw.unwrap_or(0)..).unwrap_or_default(), is_raw.is_some())?
        } else if first.is_ascii_digit() {
            number(rest)?
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            (Token::Name(name.to_owned()), after)
        } else {
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
            let sign = sign.ok_or_else(|| CelError::syntax(format!("unexpected character {first:?}")))?;
            (Token::Sign(sign), rest.strip_prefix(sign).unwrap_or_default())
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

fn number(rest: &str) -> Result<(Token, &str), CelError> {
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len());
    let (digits, after) = rest.split_at(end);
    let token = match digits.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).map(Token::Integer).ok(),
        None if digits.contains('.') => digits.parse().map(Token::Float).ok(),
        None => digits.parse().map(Token::Integer).ok(),
    };
    Ok((token.ok_or_else(|| CelError::syntax(format!("invalid number {digits}")))?, after))
}

fn text(rest: &str, is_raw: bool) -> Result<(Token, &str), CelError> {
    let mut characters = rest.chars();
    let quote = characters.next();
    let mut text = String::new();
    loop {
        let Some(character) = characters.next() else { return Err(CelError::syntax("unterminated string")) };
        if Some(character) == quote {
            return Ok((Token::Text(text), characters.as_str()));
        }
        if character != '\\' || is_raw {
            text.push(character);
            continue;
        }
        let escaped = match characters.next() {
            Some('n') => Some('\n'),
            Some('t') => Some('\t'),
            Some('r') => Some('\r'),
            Some('u') => {
                let hex: String = characters.by_ref().take(4).collect();
                u32::from_str_radix(&hex, 16).ok().and_then(char::from_u32)
            }
            Some(same @ ('\\' | '\'' | '"' | '`' | '?')) => Some(same),
            _ => None,
        };
        text.push(escaped.ok_or_else(|| CelError::syntax("unsupported escape in a string"))?);
    }
}
