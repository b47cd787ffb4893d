//! The CRD of IstioOperator, which comes with the operator.
//!
//! Packages of releases up to 1.20 bring one of their own, which has no schema and fewer columns. Whoever installs such a release
//! must not lose what the operator came with.

use crate::api::crd;
use crate::object::manifests::Manifests;

/// What it is called.
pub(super) const NAME: &str = "istiooperators.install.istio.io";

/// Makes the CRD of IstioOperator that a release has, if it has one, say what ours says.
pub(super) fn be_own(manifests: &mut Manifests) {
    let objects = manifests.parts.iter_mut().flat_map(|part| &mut part.objects);
    for object in objects.filter(|object| object.is_crd() && object.name() == NAME) {
        if let Some(own) = crd::custom_resource_definition().get_mut("spec")
            && object.value().get("spec").is_some_and(|spec| spec != own)
            && let Some(map) = object.value_mut().as_object_mut()
        {
            map.insert("spec".to_owned(), own.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::component::Component;
    use crate::object::Object;
    use crate::object::manifests::Part;
    use serde_json::json;

    #[test]
    fn the_definition_of_a_release_says_what_ours_says() {
        let crd = |name: &str| {
            let value = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": name, "labels": {"release": "istio"}}, "spec": {"versions": []}});
            Object::new(value).unwrap()
        };
        let other = crd("gateways.networking.istio.io");
        let mut manifests = Manifests {
            parts: vec![Part { component: Component::Base, objects: vec![crd(NAME), other.clone()] }],
            ..Manifests::default()
        };
        be_own(&mut manifests);
        let objects = &manifests.parts[0].objects;
        assert_eq!(objects[0].value()["spec"], crd::custom_resource_definition()["spec"]);
        assert_eq!(objects[0].value()["metadata"]["labels"]["release"], "istio");
        assert_eq!(objects[1], other);
    }
}
