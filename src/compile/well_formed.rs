//! What names and keys of Kubernetes look like.

/// A DNS-1123 label.
pub(super) fn is_dns_label(text: &str) -> bool {
    text.len() <= 63 && is_between_alphanumerics(text, |c| c == '-') && is_lower(text)
}

/// A DNS-1123 subdomain.
pub(super) fn is_dns_subdomain(text: &str) -> bool {
    text.len() <= 253
        && is_lower(text)
        && text.split('.').all(|part| is_between_alphanumerics(part, |c| c == '-'))
}

/// A value of a label.
pub(super) fn is_label_value(text: &str) -> bool {
    text.is_empty() || (text.len() <= 63 && is_between_alphanumerics(text, |c| "-_.".contains(c)))
}

/// A qualified name: `[prefix/]name`.
pub(super) fn is_qualified_name(text: &str) -> bool {
    let is_name = |name: &str| !name.is_empty() && is_label_value(name);
    match text.split_once('/') {
        Some((prefix, name)) => is_dns_subdomain(prefix) && is_name(name),
        None => is_name(text),
    }
}

pub(super) fn is_lower(text: &str) -> bool {
    !text.contains(|c: char| c.is_ascii_uppercase())
}

pub(super) fn is_between_alphanumerics(text: &str, others: impl Fn(char) -> bool) -> bool {
    let ends = [text.chars().next(), text.chars().next_back()];
    ends.into_iter().all(|end| end.is_some_and(|c| c.is_ascii_alphanumeric()))
        && text.chars().all(|c| c.is_ascii_alphanumeric() || others(c))
}
