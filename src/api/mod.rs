//! What users write and read: the types of the API, their schema with its CEL rules, and every name in it.
//!
//! Takes nothing and decides nothing; [`crds`] returns the CustomResourceDefinitions as they are installed,
//! [`schema_files`] the same as JSON Schema.

pub mod condition;
pub mod container;
pub mod env;
pub mod failure;
pub mod job_request;
mod json_schema;
pub mod json_text;
pub mod labels;
mod native;
pub mod pod_security;
pub mod policy;
mod rules;
pub mod run_policy;
mod schema;
pub mod settings;
pub mod status;
pub mod template;
pub mod template_ref;
pub mod volume;

pub use job_request::{JobRequest, JobRequestSpec};
pub use json_schema::{KindSchema, group_schema, kind_schemas, schema_files};
pub use rules::OF_EACH_KEY;
pub use schema::{crd_yaml, crds};
pub use status::JobRequestStatus;
pub use template::{ClusterJobTemplate, JobTemplate, JobTemplateSpec};
