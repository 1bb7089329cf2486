//! Jobs that survive GitOps.
pub mod api;
