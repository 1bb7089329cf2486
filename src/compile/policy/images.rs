//! Which images run, in containers and in volumes.

use super::subject::{Found, Subject, listed};
use crate::api::policy::Policy;

/// The registry of a name without one.
const DEFAULT_REGISTRY: &str = "docker.io";

/// Finds images that are not allowed, or lack a required tag or digest.
pub(super) fn judge(subject: &Subject, policy: &Policy, found: &mut Found<'_>) {
    let Some(policy) = &policy.images else { return };
    for (field, image) in images(subject) {
        let reference = Reference::parse(image);
        let is = format!("is {image}");
        if let Some(allowed) = &policy.allow
            && !allowed.iter().any(|pattern| reference.matches(pattern))
        {
            found.add(
                &*field,
                &format!("{is} (in full: {})", reference.name),
                &format!("allows the images: {}", listed(allowed)),
                "use one of them",
            );
        }
        if policy.require_digest == Some(true) && reference.digest.is_none() {
            found.add(&*field, &is, "requires a digest", "add @sha256:..., which identifies the exact image");
        } else if policy.require_tag_or_digest == Some(true)
            && reference.tag.is_none()
            && reference.digest.is_none()
        {
            found.add(field, &is, "requires a tag or a digest", "add a tag such as :1.2");
        }
    }
}

/// Every image with its path. A missing one is refused by the API server.
fn images(subject: &Subject) -> impl Iterator<Item = (String, &str)> {
    let containers = subject
        .containers()
        .filter_map(|(path, container)| Some((format!("{path}.image"), container.image.as_deref()?)));
    let volumes =
        subject.pod().into_iter().flat_map(|pod| pod.volumes.iter().flatten()).filter_map(|volume| {
            let image = volume.image.as_ref()?.reference.as_deref()?;
            Some((format!("spec.volumes[{}].image.reference", volume.name), image))
        });
    containers.chain(volumes).filter(|(_, image)| !image.is_empty())
}

/// An image, or a pattern of images, split into parts.
#[derive(Debug, PartialEq, Eq)]
struct Reference<'a> {
    /// Registry and path.
    name: String,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

impl<'a> Reference<'a> {
    /// Splits a reference as container runtimes do: `perl` is `docker.io/library/perl`.
    fn parse(text: &'a str) -> Self {
        let (rest, digest) = text.split_once('@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
        let last = rest.rfind('/').map_or(0, |slash| slash + 1);
        let colon = rest.get(last..).and_then(|part| part.find(':')).map(|colon| last + colon);
        let (name, tag) = colon.map_or((rest, None), |colon| {
            let (name, tag) = rest.split_at(colon);
            (name, tag.strip_prefix(':'))
        });
        Self { name: full_name(name), tag, digest }
    }

    /// A pattern that begins with `**` stands for any registry; else it is completed like an image.
    fn pattern(text: &'a str) -> Self {
        let mut pattern = Self::parse(text);
        if text.starts_with("**") {
            let end = text.len()
                - pattern.tag.map_or(0, |tag| tag.len() + 1)
                - pattern.digest.map_or(0, |digest| digest.len() + 1);
            text.get(..end).unwrap_or(text).clone_into(&mut pattern.name);
        }
        pattern
    }

    /// Whether `pattern` covers this image. A pattern with a tag does not cover a digest, which takes precedence
    /// over the tag: an image with both is the one of the digest.
    fn matches(&self, pattern: &str) -> bool {
        let pattern = Reference::pattern(pattern);
        let tag = match (pattern.tag, pattern.digest, self.digest) {
            (None, _, _) => true,
            (Some(_), None, Some(_)) => false,
            (Some(wanted), _, None) => glob(wanted, self.tag.unwrap_or("latest")),
            (Some(wanted), Some(_), Some(_)) => self.tag.is_some_and(|tag| glob(wanted, tag)),
        };
        let digest =
            pattern.digest.is_none_or(|wanted| self.digest.is_some_and(|digest| glob(wanted, digest)));
        tag && digest && path_matches(&pattern.name, &self.name)
    }
}

/// Registry and path in full. The part before the first slash is a registry if it cannot be a part of a path:
/// it has a dot, a port or an upper-case letter, or is localhost.
fn full_name(name: &str) -> String {
    let (registry, path) = match name.split_once('/') {
        Some((first, path))
            if first == "localhost"
                || first.contains(['.', ':'])
                || first.chars().any(char::is_uppercase) =>
        {
            (if first == "index.docker.io" { DEFAULT_REGISTRY } else { first }, path)
        }
        _ => (DEFAULT_REGISTRY, name),
    };
    if registry == DEFAULT_REGISTRY && !path.contains('/') && path != "**" {
        return format!("{registry}/library/{path}");
    }
    format!("{registry}/{path}")
}

/// Compares part by part; `**` matches any number of parts.
fn path_matches(pattern: &str, name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    // Whether the pattern so far covers the first 0, 1, 2, ... parts.
    let mut covers = vec![false; parts.len() + 1];
    if let Some(none) = covers.first_mut() {
        *none = true;
    }
    for wanted in pattern.split('/') {
        let mut next = Vec::with_capacity(covers.len());
        if wanted == "**" {
            let mut is_covered = false;
            for before in &covers {
                is_covered |= before;
                next.push(is_covered);
            }
        } else {
            next.push(false);
            next.extend(covers.iter().zip(&parts).map(|(before, part)| *before && glob(wanted, part)));
        }
        covers = next;
    }
    covers.last().copied().unwrap_or(false)
}

/// Compares with a pattern in which `*` matches anything.
fn glob(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let Some(last) = pieces.next_back() else { return rest.is_empty() };
    let Some(mut rest) = rest.strip_suffix(last) else { return false };
    for piece in pieces {
        let Some((_, after)) = rest.split_once(piece) else { return false };
        rest = after;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_names() {
        for (image, name) in [
            ("perl", "docker.io/library/perl"),
            ("perl:5", "docker.io/library/perl"),
            ("perl@sha256:aa", "docker.io/library/perl"),
            ("perl:5@sha256:aa", "docker.io/library/perl"),
            ("bitnami/perl", "docker.io/bitnami/perl"),
            ("docker.io/perl", "docker.io/library/perl"),
            ("index.docker.io/perl", "docker.io/library/perl"),
            ("docker.io/a/b", "docker.io/a/b"),
            ("localhost/perl", "localhost/perl"),
            ("localhost:5000/perl:5", "localhost:5000/perl"),
            ("registry:5000/a/b/c", "registry:5000/a/b/c"),
            ("registry/a", "docker.io/registry/a"),
            ("REGISTRY/a", "REGISTRY/a"),
            ("[::1]:5000/a:1", "[::1]:5000/a"),
        ] {
            assert_eq!(Reference::parse(image).name, name, "{image}");
        }
    }

    #[test]
    fn patterns() {
        for (pattern, image, is_covered) in [
            ("**", "perl", true),
            ("**", "registry.example.com/a/b:1@sha256:aa", true),
            ("*", "perl:5", true),
            ("*", "bitnami/perl", false),
            ("perl", "perl", true),
            ("perl", "docker.io/library/perl:5", true),
            ("perl", "evil.example.com/library/perl", false),
            ("library/*", "perl", true),
            ("docker.io/**", "perl", true),
            ("docker.io/library/*", "bitnami/perl", false),
            ("registry.example.com/**", "registry.example.com/a", true),
            ("registry.example.com/**", "registry.example.com/a/b/c:5", true),
            ("registry.example.com/**", "registry.example.com.evil.com/a", false),
            ("registry.example.com/**", "registry.example.com:5000/a", false),
            ("registry.example.com/**", "evil.com/registry.example.com/a", false),
            ("registry.example.com/*", "registry.example.com/a/b", false),
            ("registry.example.com/*/b", "registry.example.com/a/b", true),
            ("registry.example.com/**/b", "registry.example.com/b", true),
            ("registry.example.com/**/b", "registry.example.com/a/a/b", true),
            ("registry.example.com/**/b", "registry.example.com/a/ab", false),
            ("registry.example.com/team-*/**", "registry.example.com/team-a/x/y", true),
            ("*.example.com/**", "eu.example.com/a", true),
            ("*.example.com/**", "a/eu.example.com/a", false),
            ("**/perl", "registry.example.com/a/perl:5", true),
            ("**/perl", "perl", true),
            ("**:5", "registry.example.com/a/perl:5", true),
            ("**:5", "perl", false),
            ("perl:5*", "perl:5.24", true),
            ("perl:5*", "perl:6", false),
            ("perl:latest", "perl", true),
            ("perl:5", "perl:5@sha256:aa", false),
            ("perl@sha256:*", "perl:5@sha256:aa", true),
            ("perl@sha256:*", "perl:5", false),
            ("perl@sha256:aa", "perl@sha256:ab", false),
            ("perl:5@sha256:*", "perl:5@sha256:aa", true),
            ("perl:5@sha256:*", "perl@sha256:aa", false),
            ("localhost:5000/*:1", "localhost:5000/a:1", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXcYb", false),
            ("ab*ba", "aba", false),
            ("", "perl", false),
        ] {
            assert_eq!(Reference::parse(image).matches(pattern), is_covered, "{pattern} {image}");
        }
    }
}
