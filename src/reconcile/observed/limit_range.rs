//! What a LimitRange of the namespace set in a pod, because its containers did not: the API server notes it in an annotation.

/// The annotation of the admission plugin LimitRanger.
pub(super) const ANNOTATION: &str = "kubernetes.io/limit-ranger";

/// By this annotation, a LimitRange set the memory limit of `container`: "LimitRanger plugin set: cpu request for container a;
/// cpu, memory limit for container a".
pub(super) fn sets_memory_limit(annotation: &str, container: &str) -> bool {
    let said = annotation.split_once(": ").map_or(annotation, |(_, said)| said);
    said.split("; ").any(|part| {
        let limits = part
            .split_once(" limit for init container ")
            .or_else(|| part.split_once(" limit for container "));
        limits.is_some_and(|(resources, name)| {
            name == container && resources.split(", ").any(|resource| resource == "memory")
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_that_a_limit_range_set_are_read() {
        let said = "LimitRanger plugin set: cpu, memory request for container a; cpu, memory limit for container a; cpu limit for container b; memory limit for init container c";
        for (container, wanted) in [("a", true), ("b", false), ("c", true), ("d", false)] {
            assert_eq!(sets_memory_limit(said, container), wanted, "{container}");
        }
        for nonsense in ["", ":", "memory limit for container", "x; y: z limit for container a"] {
            assert!(!sets_memory_limit(nonsense, "a"), "{nonsense}");
        }
    }
}
