//! The specs that users write in the model, and what they mean.

use jobrequest::api::JobRequestSpec;
use jobrequest::compile::digest::digest;
use serde_json::{Value, json};

/// What a user has written, in the model's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Which program runs: each its own digest. `None`: no image, so the spec is rejected.
    pub program: Option<u8>,
    /// `spec.suspend`.
    pub suspend: bool,
    /// `spec.settings.parallelism`.
    pub parallelism: i32,
    /// `spec.alias`.
    pub alias: u8,
    /// Both TTLs.
    pub ttl: Option<i32>,
    /// `spec.rerun`; 0: empty.
    pub token: u8,
    /// `spec.runPolicy`.
    pub policy: Policy,
}

/// What a scenario's `spec.runPolicy` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Nothing.
    Default,
    /// `whileActive: Replace`.
    Replace,
    /// `onSpecChange: Hold`.
    Hold,
    /// `onTemplateChange: Rerun`.
    Follow,
    /// Both history limits are 0.
    NoHistory,
    /// `whileActive: Replace` and `onTemplateChange: Rerun`.
    ReplaceAndFollow,
    /// Nothing; but the template limits what a run may use, and each Job is stored without its amounts.
    Limited,
}

impl Policy {
    fn value(self) -> Value {
        match self {
            Self::Default | Self::Limited => json!({}),
            Self::Replace => json!({"whileActive": "Replace"}),
            Self::Hold => json!({"onSpecChange": "Hold"}),
            Self::Follow => json!({"onTemplateChange": "Rerun"}),
            Self::NoHistory => json!({"successfulRunsHistoryLimit": 0, "failedRunsHistoryLimit": 0}),
            Self::ReplaceAndFollow => json!({"whileActive": "Replace", "onTemplateChange": "Rerun"}),
        }
    }
}

/// A rerun token; 0: the source is empty.
pub fn token(number: u8) -> String {
    if number == 0 { String::new() } else { format!("token {number}") }
}

impl Wish {
    pub const fn new(ttl: Option<i32>, policy: Policy) -> Self {
        Self { program: Some(0), suspend: false, parallelism: 1, alias: 0, ttl, token: 0, policy }
    }

    /// As the API server stores it.
    pub fn spec(&self) -> JobRequestSpec {
        let mut container = json!({"name": "main"});
        if let Some(program) = self.program {
            container["image"] = image(program).into();
        }
        let mut settings = json!({"parallelism": self.parallelism, "completions": 4});
        if let Some(ttl) = self.ttl {
            settings["ttlSecondsAfterFinished"] = ttl.into();
        }
        let mut spec = json!({"containers": [container], "settings": settings});
        if self.suspend {
            spec["suspend"] = true.into();
        }
        if self.token > 0 {
            spec["rerun"] = token(self.token).into();
        }
        if !matches!(self.policy, Policy::Default | Policy::Limited) {
            spec["runPolicy"] = self.policy.value();
        }
        if self.alias > 0 {
            spec["alias"] = format!("alias {}", self.alias).into();
        }
        serde_json::from_value(spec).unwrap()
    }

    /// The digest of what runs when this program runs.
    pub fn digest_of(program: u8) -> String {
        digest(&Self { program: Some(program), ..Self::new(None, Policy::Default) }.spec())
    }
}

fn image(program: u8) -> String {
    format!("program:{program}")
}

/// Which program an image is.
pub fn program_of(image: &str) -> Option<u8> {
    image.strip_prefix("program:")?.parse().ok()
}
