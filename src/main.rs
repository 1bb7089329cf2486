//! The `jobrequest` command.
fn main() {}
