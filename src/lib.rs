//! Jobs that survive GitOps.
