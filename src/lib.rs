//! Jobs that survive GitOps.
pub mod api;
pub mod compile;
pub mod reconcile;
