//! Condition types, reasons and phases. They are enums: nothing else in the program spells them, and no text
//! of a user becomes one of them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Declares an enum whose variants are spelled in the API as they are here.
macro_rules! spelled {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// Every value, in order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As it is spelled in the API.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

spelled! {
    /// Types of the conditions on a JobRequest.
    ConditionType {
        /// The spec can be compiled into a Job that the API server accepts.
        Accepted,
        /// Summary for tools: the newest run has completed, or the request rests as its spec says.
        Ready,
        /// The operator is working on it; absent when not true.
        Reconciling,
        /// It will not make progress without a change; absent when not true.
        Stalled,
        /// The newest run has ended, whatever its result, or nothing will run because the spec is rejected.
        Finished,
        /// The Job is suspended.
        Suspended,
        /// Mirrored: the success policy or all completions are met, pods may still be ending.
        SuccessCriteriaMet,
        /// Mirrored: the Job is being failed, pods may still be ending.
        FailureTarget,
        /// Mirrored: the Job has completed.
        Complete,
        /// Mirrored: the Job has failed.
        Failed,
        /// The templates have changed since the newest run was created; absent when not true.
        TemplateOutdated,
        /// The spec has changed and runPolicy.onSpecChange holds it until a rerun is requested; absent when not true.
        PendingChanges,
        /// A patch or delete of a Job is due, and the API server refuses it, or a policy does not allow it; the operator
        /// retries; absent when not true.
        ChangeRefused,
        /// It is a hook of a Helm chart, which Helm does not wait for; absent when not true.
        NotAwaited,
        /// On a template: its values are the defaults of its scope.
        Effective,
        /// On a template: JobRequests in scope violate its policy, which only warns; absent when not true.
        Violated,
    }
}

spelled! {
    /// The state of the newest run, for people; no code branches on it.
    Phase {
        /// Observed; no run yet.
        Pending,
        /// No Job yet (creation is forbidden, or a predecessor's Job is still terminating), or a Job that is not
        /// allowed to create pods.
        Waiting,
        /// The Job exists; no main container has started yet: pods are being created, scheduled, or pulling images.
        Updating,
        /// A main container has started.
        Running,
        /// Suspended, by the spec or by someone else.
        Suspended,
        /// The newest run has completed.
        Completed,
        /// The newest run has failed.
        Failed,
        /// The spec cannot become a Job; Accepted=False says why.
        Rejected,
    }
}

spelled! {
    /// Reasons that the operator itself gives. Reasons of the Job's own conditions are mirrored unchanged.
    Reason {
        /// Accepted: the spec compiles.
        Valid,
        /// Accepted: the spec compiles, with numbers reduced or raised by policies; the message lists all of them.
        Clamped,
        /// Accepted: the spec compiles, and policies warn about it; the message lists their warnings. Violated: the policy
        /// only warns.
        PolicyWarning,
        /// NotAwaited: the annotation helm.sh/hook is set.
        HelmHook,
        /// Accepted: the merged spec breaks rules or policies; the message lists all of them.
        InvalidSpec,
        /// Accepted: the API server found the compiled Job invalid; the message is its own, unchanged.
        JobInvalid,
        /// Accepted: the newest run has the last number that there is.
        RunNumbersUsedUp,
        /// Accepted: the stored object does not fit the schema.
        Unreadable,
        /// A run is due and being reserved.
        Pending,
        /// A run is reserved, its Job is being created.
        Creating,
        /// The API server forbids the Job for now (quota, admission policy, webhook); the operator retries.
        JobForbidden,
        /// A Job with the run's name is still terminating, such as that of a deleted JobRequest of the same name.
        PredecessorTerminating,
        /// A Job with the run's name, which a deleted JobRequest of the same name has left behind, has not ended.
        PredecessorActive,
        /// The Job is not allowed to create pods (quota, Pod Security, a policy or a webhook), or their service account
        /// is missing.
        PodsForbidden,
        /// No main container has started yet, and nothing is known to block it.
        Starting,
        /// No node fits the pod.
        Unschedulable,
        /// An image cannot be pulled.
        ImagePullFailed,
        /// A container cannot be created: a ConfigMap, Secret or key is missing, or its settings do not work.
        ContainerConfigError,
        /// The pod's volumes or sandbox cannot be set up.
        ContainerCreateFailed,
        /// A container has started.
        Running,
        /// Suspended in the spec.
        Suspended,
        /// Suspended by someone else, for example a queue.
        Queued,
        /// The newest run has completed.
        Completed,
        /// The newest run has failed.
        Failed,
        /// The Job was deleted by someone before its result was observed.
        Lost,
        /// The newest run has not ended.
        NotFinished,
        /// Finished: the spec cannot become a Job, and nothing runs before somebody acts.
        Rejected,
        /// A template was created, edited or deleted since the newest run; the next run uses it as it is then.
        TemplatesChanged,
        /// TemplateOutdated: a template that the newest run was made with is being deleted. Accepted: so is a default,
        /// which the run is therefore made without. On a template: it is being deleted, and no new run takes it.
        TemplateTerminating,
        /// TemplateOutdated: a template that the newest run was made with is gone.
        TemplateGone,
        /// On a template: it breaks rules; the message lists all of them.
        InvalidTemplate,
        /// On a template: it is the default of its scope.
        Default,
        /// On a template: it is the newest of several defaults of its scope, and supplies the values; the policies of
        /// all count.
        NewestDefault,
        /// On a template: a newer default supplies the values instead; of this one only the policy counts.
        Superseded,
        /// The active run is being stopped for a newer one.
        Replacing,
        /// The newest run was stopped for a newer one.
        Replaced,
        /// The active run is being ended, because somebody asked for it.
        Cancelling,
        /// The newest run was ended, because somebody asked for it.
        Cancelled,
        /// No container had started when startDeadlineSeconds had passed.
        StartDeadlineExceeded,
        /// PendingChanges: runPolicy.onSpecChange is Hold. Ready: runPolicy.onCreate is, and nothing has run yet.
        Held,
        /// ChangeRefused: the live Job's own pods would exceed a limit of a policy; the message says which. Of a run: its
        /// Job exceeds limits as the API server has stored it, and is stopped.
        LimitsExceeded,
        /// ChangeRefused: the patch of a live Job; the message is the API server's own.
        PatchRefused,
        /// ChangeRefused: the delete of a Job; the message is the API server's own.
        DeleteRefused,
    }
}

spelled! {
    /// How a run ended.
    RunResult {
        /// The Job completed.
        Succeeded,
        /// The Job failed.
        Failed,
        /// The Job was deleted before its result was observed.
        Lost,
        /// The operator stopped it for a newer run.
        Replaced,
        /// The operator ended it, because somebody asked for it.
        Cancelled,
    }
}

spelled! {
    /// Why the operator stops a run.
    Stop {
        /// For a newer run, as runPolicy.whileActive says.
        Replace,
        /// For a newer run: this one is stuck, and no container of the work has ever started.
        NeverStarted,
        /// No container had started in time.
        StartDeadline,
        /// The Job exceeds limits of policies as the API server has stored it.
        LimitsExceeded,
        /// The annotation jobrequest.dev/cancel names its Job.
        Cancel,
    }
}

impl Stop {
    /// The Job is deleted, after its pods.
    #[must_use]
    pub const fn deletes_the_job(self) -> bool {
        self.makes_way() || matches!(self, Self::LimitsExceeded | Self::Cancel)
    }

    /// A newer run starts in its place.
    #[must_use]
    pub const fn makes_way(self) -> bool {
        matches!(self, Self::Replace | Self::NeverStarted)
    }
}

spelled! {
    /// The kind of a failure.
    FailureCategory {
        /// A container exited with a non-zero code, or could not run its command.
        AppError,
        /// A container used more memory than its limit.
        OOMKilled,
        /// An image cannot be pulled.
        ImagePull,
        /// A ConfigMap, Secret, key, volume claim or service account is missing.
        ConfigMissing,
        /// The node cannot create a container with its settings, for example as root where that is not allowed.
        ContainerConfig,
        /// A node cannot set up the pod: its volumes, sandbox or network.
        PodSetup,
        /// No node fits the pod.
        Unschedulable,
        /// The Job is not allowed to create pods: quota, Pod Security, a policy or a webhook.
        PodsForbidden,
        /// The API server refuses the Job itself for now: quota, policy, webhook, a namespace that is terminating.
        JobForbidden,
        /// activeDeadlineSeconds has passed.
        Deadline,
        /// startDeadlineSeconds has passed.
        StartDeadline,
        /// A pod was evicted, preempted or deleted.
        Evicted,
        /// The node of a pod was lost.
        NodeLost,
        /// A rule of the Job's own policies ended the run.
        PolicyRule,
        /// The Job exceeds limits of a template's policy as the API server has stored it.
        LimitsExceeded,
        /// The Job was deleted before its result was observed.
        Lost,
        /// The cause could not be determined.
        Unknown,
    }
}

spelled! {
    /// What keeps a Job, its pods or their containers from being created or started: finer than the category, and the
    /// same however the messages about it alternate.
    Obstacle {
        /// An image's name is not valid.
        ImageName,
        /// The node does not have the image, and imagePullPolicy is Never.
        ImageNotPresent,
        /// An image cannot be pulled.
        ImagePull,
        /// A ConfigMap, Secret or key that a container or volume refers to is missing.
        ConfigMissing,
        /// The node cannot create the container with its settings.
        ContainerSettings,
        /// The image runs as root, or nobody can say that it does not, and runAsNonRoot forbids that.
        RunsAsRoot,
        /// The program cannot be started in the image.
        Command,
        /// The PersistentVolumeClaim is missing.
        ClaimMissing,
        /// The PersistentVolumeClaim has no volume yet.
        ClaimUnbound,
        /// No node fits the pod.
        NoNodeFits,
        /// The node cannot attach or mount a volume.
        VolumeMount,
        /// The node cannot create the pod's sandbox.
        Sandbox,
        /// The network of the node is not ready.
        Network,
        /// A ResourceQuota is used up.
        Quota,
        /// A ResourceQuota demands requests or limits that a container does not have.
        AmountsMissing,
        /// More is asked for than a ResourceQuota has in all.
        QuotaTooSmall,
        /// A ResourceQuota for Jobs is used up; Jobs that have ended count, too.
        JobQuota,
        /// A LimitRange forbids the amounts.
        LimitRange,
        /// The namespace's Pod Security level forbids the pod.
        PodSecurity,
        /// The ServiceAccount is missing.
        ServiceAccountMissing,
        /// A webhook or admission policy denies it.
        Admission,
        /// A webhook that has to be asked does not answer.
        WebhookFailed,
        /// The API server refuses it for another reason; see the message.
        Refused,
    }
}

impl Obstacle {
    /// The message about it names an object or a volume: the next one is another obstacle.
    #[must_use]
    pub const fn names_an_object(self) -> bool {
        matches!(self, Self::ConfigMissing | Self::VolumeMount)
    }

    /// It stays until somebody changes the spec, or what forbids it: waiting does not help.
    #[must_use]
    pub const fn needs_a_change(self) -> bool {
        match self {
            Self::ImageName
            | Self::RunsAsRoot
            | Self::AmountsMissing
            | Self::QuotaTooSmall
            | Self::LimitRange
            | Self::PodSecurity
            | Self::Admission => true,
            Self::ImageNotPresent
            | Self::ImagePull
            | Self::ConfigMissing
            | Self::ContainerSettings
            | Self::Command
            | Self::ClaimMissing
            | Self::ClaimUnbound
            | Self::NoNodeFits
            | Self::VolumeMount
            | Self::Sandbox
            | Self::Network
            | Self::Quota
            | Self::JobQuota
            | Self::ServiceAccountMissing
            | Self::WebhookFailed
            | Self::Refused => false,
        }
    }
}

spelled! {
    /// Why a run was created.
    Trigger {
        /// The JobRequest was created.
        Created,
        /// The spec changed.
        SpecChange,
        /// A rerun was requested.
        Rerun,
        /// A template changed, and runPolicy.onTemplateChange is Rerun.
        TemplateChange,
    }
}

spelled! {
    /// Reasons of the events on a JobRequest, on transitions only.
    EventReason {
        /// A Job was created for a run.
        RunCreated,
        /// A run completed.
        Completed,
        /// A run failed.
        Failed,
        /// The spec was rejected.
        Rejected,
        /// A rerun was requested, and waits.
        RerunRequested,
        /// Policies have changed numbers of the spec.
        Clamped,
        /// Policies warn about the spec.
        PolicyWarning,
        /// A Job was gone before its result was observed.
        Lost,
        /// A run was ended, because somebody asked for it.
        Cancelled,
        /// The name of a run's Job was taken by a Job that is not the operator's; the next number is used.
        NameTaken,
        /// The API server refuses the Job of a run for now.
        JobForbidden,
        /// The Job of a run is not allowed to create pods, or their service account is missing.
        PodsForbidden,
        /// No node fits a pod of a run.
        Unschedulable,
        /// An image of a run cannot be pulled.
        ImagePullFailed,
        /// A container of a run cannot be created: a ConfigMap, Secret or key is missing, or its settings do not work.
        ContainerConfigError,
        /// A container of a run cannot be started, or the pod's volumes or sandbox cannot be set up.
        ContainerCreateFailed,
        /// A pod of a run has failed, and the run continues.
        PodFailed,
        /// The API server refuses a patch or delete of a Job for now.
        ChangeRefused,
        /// A JobRequest is a hook of a Helm chart, and Helm does not wait for it.
        NotAwaited,
        /// The object is so large that no status can be stored with it.
        StatusTooLarge,
        /// On a template: its scope has several defaults.
        MultipleDefaults,
        /// On a template: it breaks rules, and requests in scope are rejected.
        InvalidTemplate,
        /// On a template: JobRequests in scope violate its policy, which only warns.
        PolicyViolated,
    }
}
