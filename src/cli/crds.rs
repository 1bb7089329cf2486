//! `jobrequest crds`: the CustomResourceDefinitions as YAML.

use std::io::Write;

/// Prints them to stdout, one document each.
pub(super) fn run() -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    for crd in crate::api::crds() {
        let yaml = crate::api::manifest(&crd).map_err(|error| format!("could not write YAML: {error}"))?;
        match out.write_all(yaml.as_bytes()) {
            Ok(()) => {}
            // The reader has seen enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(format!("could not write to stdout: {error}")),
        }
    }
    Ok(())
}
