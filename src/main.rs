//! The `jobrequest` command.
fn main() {
    for c in jobrequest::api::crds() {
        println!("{}", serde_saphyr::to_string(&c).unwrap_or_default());
    }
}
