//! The `jobrequest` command.
fn main() {
    for c in jobrequest::api::crds() {
        print!("{}", jobrequest::api::manifest(&c).unwrap_or_default());
    }
}
