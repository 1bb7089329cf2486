//! Tokens of reruns: new ones, which nobody else makes at the same time.

use std::hash::{BuildHasher, RandomState};

use k8s_openapi::jiff::Timestamp;

/// The time to the second for people, and a random part.
pub(super) fn new_token() -> String {
    // Each state has keys of its own, which are random.
    let random = RandomState::new().hash_one(std::process::id());
    format!("{}-{random:016x}", Timestamp::now().strftime("%Y%m%dT%H%M%SZ"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_tokens_are_equal() {
        let (one, other) = (new_token(), new_token());
        assert_ne!(one, other);
        assert_eq!(one.len(), "20261127T120000Z-0123456789abcdef".len());
    }
}
