//! Devices that a pod gets in other ways than by the name of a resource.
//!
//! Dynamic resource allocation knows two: the resource `deviceclass.resource.kubernetes.io/NAME`, which is there for each
//! DeviceClass, and claims. Which devices those are only the cluster knows: they may be the ones that the cluster also
//! offers under a name such as `example.com/gpu`. So each maximum of a device counts them, too.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// Prefix of the resource of a DeviceClass.
const DEVICE_CLASS: &str = "deviceclass.resource.kubernetes.io/";

/// The bounds of one rule of one policy, by name of the resource.
pub(super) type Bounds = BTreeMap<String, Quantity>;

/// True for what is no amount of a node's own, such as cpu or huge pages.
pub(super) fn is_device(resource: &str) -> bool {
    resource.starts_with(DEVICE_CLASS) || (resource.contains('/') && !resource.contains("kubernetes.io/"))
}

/// True when amounts of `other` count against the bound of `resource`: it is of a DeviceClass, which has no bound itself.
pub(super) fn counts_as(other: &str, resource: &str, bounds: &Bounds) -> bool {
    is_device(resource) && other.starts_with(DEVICE_CLASS) && other != resource && !bounds.contains_key(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_what_nodes_do_not_have_themselves() {
        for (resource, is) in [
            ("example.com/gpu", true),
            ("deviceclass.resource.kubernetes.io/gpu", true),
            ("cpu", false),
            ("hugepages-2Mi", false),
            ("kubernetes.io/batch-cpu", false),
        ] {
            assert_eq!(is_device(resource), is, "{resource}");
        }
    }

    #[test]
    fn a_class_counts_unless_it_has_a_bound() {
        let class = "deviceclass.resource.kubernetes.io/fpga";
        let mut bounds = Bounds::default();
        assert!(counts_as(class, "example.com/gpu", &bounds));
        assert!(!counts_as(class, "cpu", &bounds) && !counts_as(class, class, &bounds));
        assert!(!counts_as("example.com/fpga", "example.com/gpu", &bounds));
        bounds.insert(class.to_owned(), Quantity("1".to_owned()));
        assert!(!counts_as(class, "example.com/gpu", &bounds));
    }
}
