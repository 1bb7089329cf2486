//! What the keys of a list or map of a spec look like: a path with a key that nothing can have is a mistake.

use crate::compile::well_formed::{is_between_alphanumerics, is_dns_label, is_lower};

/// What the keys of a list or map look like.
#[derive(Clone, Copy, Debug)]
pub(super) enum KeyForm {
    /// Names of containers and volumes.
    Label,
    /// Names of objects.
    Subdomain,
    /// A number and a protocol.
    Port,
    /// Keys of labels, and names of resources.
    Qualified,
    /// Anything without blanks and quotes.
    Word,
    /// A path, in which blanks may be.
    Folder,
}

impl KeyForm {
    /// Of the keys of the list or map called `list`.
    pub(super) fn of(list: &str) -> Self {
        match list {
            "containers" | "initContainers" | "volumes" => Self::Label,
            "imagePullSecrets" => Self::Subdomain,
            "ports" => Self::Port,
            "mounts" => Self::Folder,
            "labels" | "annotations" | "nodeSelector" | "limits" | "requests" => Self::Qualified,
            _ => Self::Word,
        }
    }

    /// What such a key could be, for a message.
    pub(super) const fn example(self) -> &'static str {
        match self {
            Self::Label | Self::Subdomain | Self::Word => "NAME",
            Self::Port => "8080/TCP",
            Self::Qualified => "KEY",
            Self::Folder => "/PATH",
        }
    }

    /// Whether something can be called so.
    pub(super) fn fits(self, key: &str) -> bool {
        let is_plain = |text: &str, longest: usize, others: &str| {
            text.len() <= longest && is_between_alphanumerics(text, |c| others.contains(c))
        };
        match self {
            // A place in the list is no name, though a name could be a number.
            Self::Label => is_dns_label(key) && !key.chars().all(|c| c.is_ascii_digit()),
            Self::Subdomain => is_plain(key, 253, "-.") && is_lower(key),
            Self::Port => key.split_once('/').is_some_and(|(port, protocol)| {
                port.parse::<u16>().is_ok_and(|number| number > 0 && number.to_string() == port)
                    && ["TCP", "UDP"].contains(&protocol)
            }),
            Self::Qualified => match key.split_once('/') {
                Some((domain, name)) => Self::Subdomain.fits(domain) && is_plain(name, 63, "-_."),
                None => is_plain(key, 63, "-_."),
            },
            Self::Word => {
                !key.is_empty() && !key.contains(|c: char| c.is_whitespace() || "\"'`=".contains(c))
            }
            Self::Folder => !key.is_empty() && key.trim() == key && !key.contains(['"', '\'', '`']),
        }
    }
}
