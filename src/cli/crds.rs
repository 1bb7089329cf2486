//! `jobrequest crds`: the CustomResourceDefinitions as YAML.

use super::error::CliError;
use super::output::print;

/// Prints them to stdout, one document each.
pub(super) fn run() -> Result<(), CliError> {
    for crd in crate::api::crds() {
        let yaml = crate::api::crd_yaml(&crd).map_err(|error| CliError::Yaml("a CRD", error))?;
        print(&yaml)?;
    }
    Ok(())
}
