//! The flags of the leader election, named as kube-controller-manager names them.

use std::time::Duration;

use clap::Args;

use crate::cli::duration::duration;
use crate::cli::error::CliError;
use crate::controller::{Election, Times};

/// Flags of the leader election.
#[derive(Debug, Args)]
pub(super) struct ElectionArguments {
    /// Elect one of several replicas as the leader, through a Lease; the others are on standby
    #[arg(
        long = "leader-elect",
        env = "JOBREQUEST_LEADER_ELECT",
        value_name = "BOOL",
        default_value_t = false,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    is_enabled: bool,
    /// Name of the Lease; operators that watch different namespaces need different names
    #[arg(
        long = "leader-elect-resource-name",
        env = "JOBREQUEST_LEADER_ELECT_RESOURCE_NAME",
        value_name = "NAME",
        default_value = "jobrequest"
    )]
    resource_name: String,
    /// Namespace of the Lease [default: the one it runs in, or that of the kubeconfig's context]
    #[arg(
        long = "leader-elect-resource-namespace",
        env = "JOBREQUEST_LEADER_ELECT_RESOURCE_NAMESPACE",
        value_name = "NAMESPACE"
    )]
    resource_namespace: Option<String>,
    /// Another replica takes over once the Lease has not been renewed for this long
    #[arg(
        long = "leader-elect-lease-duration",
        env = "JOBREQUEST_LEADER_ELECT_LEASE_DURATION",
        value_name = "DURATION",
        default_value = "15s",
        value_parser = duration
    )]
    lease_duration: Duration,
    /// The leader stops acting if it cannot renew the Lease for this long; shorter than the lease duration
    #[arg(
        long = "leader-elect-renew-deadline",
        env = "JOBREQUEST_LEADER_ELECT_RENEW_DEADLINE",
        value_name = "DURATION",
        default_value = "10s",
        value_parser = duration
    )]
    renew_deadline: Duration,
    /// Pause between two attempts to acquire or renew the Lease; shorter than the renew deadline
    #[arg(
        long = "leader-elect-retry-period",
        env = "JOBREQUEST_LEADER_ELECT_RETRY_PERIOD",
        value_name = "DURATION",
        default_value = "2s",
        value_parser = duration
    )]
    retry_period: Duration,
}

impl ElectionArguments {
    /// The requested election, if any; `own_namespace` is the one of the kubeconfig or the pod.
    ///
    /// # Errors
    /// The times do not keep two leaders apart.
    pub(super) fn election(&self, own_namespace: &str) -> Result<Option<Election>, CliError> {
        if !self.is_enabled {
            return Ok(None);
        }
        let times = Times::new(self.lease_duration, self.renew_deadline, self.retry_period)
            .map_err(CliError::LeaseTimes)?;
        let namespace = self.resource_namespace.clone().unwrap_or_else(|| own_namespace.to_owned());
        Ok(Some(Election { namespace, name: self.resource_name.clone(), times }))
    }
}
