//! The specs that users write in the model, and what they mean.

use jobrequest::api::JobRequestSpec;
use jobrequest::compile::digest::digest;
use serde_json::json;

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
}

impl Wish {
    pub const fn new(ttl: Option<i32>) -> Self {
        Self { program: Some(0), suspend: false, parallelism: 1, alias: 0, ttl }
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
        if self.alias > 0 {
            spec["alias"] = format!("alias {}", self.alias).into();
        }
        serde_json::from_value(spec).unwrap()
    }

    /// The digest of what runs when this program runs.
    pub fn digest_of(program: u8) -> String {
        digest(&Self { program: Some(program), ..Self::new(None) }.spec())
    }
}

fn image(program: u8) -> String {
    format!("program:{program}")
}

/// Which program an image is.
pub fn program_of(image: &str) -> Option<u8> {
    image.strip_prefix("program:")?.parse().ok()
}
