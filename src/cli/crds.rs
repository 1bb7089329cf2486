//! `jobrequest crds`: the CustomResourceDefinitions as YAML.

use super::output::print;

/// Prints them to stdout, one document each.
pub(super) fn run() -> Result<(), String> {
    for crd in crate::api::crds() {
        let yaml = crate::api::manifest(&crd).map_err(|error| format!("could not write YAML: {error}"))?;
        print(&yaml)?;
    }
    Ok(())
}
