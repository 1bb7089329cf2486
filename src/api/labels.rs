//! Names that the operator writes on objects: labels, annotations, the field manager, and the prefixes that it
//! reserves.

/// The API group of every kind.
pub const GROUP: &str = "jobrequest.dev";
/// The served version.
pub const VERSION: &str = "v1alpha1";
/// `apiVersion` of every kind.
pub const API_VERSION: &str = "jobrequest.dev/v1alpha1";
/// Who wrote a field, as server-side bookkeeping (`managedFields`) and events show it.
pub const FIELD_MANAGER: &str = "jobrequest";

/// Label on Jobs and pods; its value is [`FIELD_MANAGER`]. The operator watches only objects that have it.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Label on Jobs and pods: name of the JobRequest.
pub const REQUEST: &str = "jobrequest.dev/request";
/// Label on Jobs and pods, annotation on Jobs: number of the run.
pub const RUN: &str = "jobrequest.dev/run";

/// Annotation on Jobs: uid of the JobRequest. With [`RUN`] it is the Job's identity, even after someone stripped
/// its owner reference or labels.
pub const REQUEST_UID: &str = "jobrequest.dev/request-uid";
/// Annotation on Jobs: digest of the request's run-relevant fields, see `compile::digest`.
pub const DIGEST: &str = "jobrequest.dev/digest";
/// Annotation on Jobs: `metadata.generation` of the JobRequest that the Job was compiled from.
pub const GENERATION: &str = "jobrequest.dev/generation";
/// Annotation on Jobs: the templates that the Job was compiled with, lowest precedence first, as a JSON list of kind,
/// name, uid and generation.
pub const TEMPLATES: &str = "jobrequest.dev/templates";
/// Annotation on JobRequests: any new value requests a run, as `spec.rerun` does, without a change in Git. On Jobs: the
/// values of both sources that were handled with the run, as JSON.
pub const RERUN: &str = "jobrequest.dev/rerun";
/// Annotation on JobRequests: uid of the Job whose run is to be ended, and after a space who asks for it. It names the run
/// itself, so that it can end no other one, however late it is read.
pub const CANCEL: &str = "jobrequest.dev/cancel";
/// Annotation that makes an object a hook of a Helm chart: Helm applies it apart from the release.
pub const HELM_HOOK: &str = "helm.sh/hook";
/// Annotation on Jobs: `spec.alias`.
pub const ALIAS: &str = "jobrequest.dev/alias";
/// Annotation on Jobs: `spec.description`.
pub const DESCRIPTION: &str = "jobrequest.dev/description";

/// Annotation on Jobs: what the operator last wrote to the fields that may change while a Job lives, as JSON, see
/// `compile::in_place`.
pub const IN_PLACE: &str = "jobrequest.dev/in-place";

/// Label on Jobs that Kueue reads: the queue in which the Job waits for its turn.
pub const QUEUE: &str = "kueue.x-k8s.io/queue-name";
