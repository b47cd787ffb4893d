//! The pages there are.

/// A page that a pod serves.
#[derive(Debug)]
pub(super) struct Page {
    /// By which it is asked for.
    pub name: &'static str,
    /// For a person.
    pub title: &'static str,
    /// The labels of the pods that serve it; none where the pod must be named.
    pub selector: Option<&'static str>,
    /// Where it is served in the pod.
    pub port: u16,
    /// Where it begins.
    pub path: &'static str,
    /// Whether it is of any pod that is named.
    pub takes_pod: bool,
}

/// The page that every control plane has, and every proxy.
pub(super) const CONTROLZ: &str = "controlz";

/// Where istiod and proxies serve ControlZ.
pub(super) const CONTROLZ_PORT: u16 = 9876;

const fn page(name: &'static str, title: &'static str, selector: &'static str, port: u16, path: &'static str) -> Page {
    Page { name, title, selector: Some(selector), port, path, takes_pod: false }
}

/// All pages.
pub(super) const PAGES: [Page; 8] = [
    page("grafana", "Grafana", "app=grafana", 3000, ""),
    page("prometheus", "Prometheus", "app=prometheus", 9090, ""),
    page("kiali", "Kiali", "app=kiali", 20001, "/kiali"),
    page("jaeger", "Jaeger", "app=jaeger", 16686, "/jaeger"),
    page("zipkin", "Zipkin", "app=zipkin", 9411, ""),
    page("skywalking", "SkyWalking", "app=skywalking-ui", 8080, ""),
    Page { name: "envoy", title: "Envoy", selector: None, port: 15000, path: "", takes_pod: true },
    Page { takes_pod: true, ..page(CONTROLZ, "istiod", "app=istiod", CONTROLZ_PORT, "") },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::release::addons::ADDONS;
    use crate::render::addon::render;

    #[test]
    fn every_add_on_has_a_page_at_a_port_of_its_pod() {
        for addon in &ADDONS {
            let page = PAGES.iter().find(|page| page.name == addon.name).unwrap();
            assert_eq!(page.title, addon.title);
            let objects = render(addon, "a", "b", "").unwrap();
            let deployment = objects.iter().find(|object| object.kind() == "Deployment").unwrap().value().into_owned();
            let template = &deployment["spec"]["template"];
            let label = template["metadata"]["labels"]["app"].as_str().unwrap();
            assert_eq!(page.selector, Some(format!("app={label}").as_str()));
            let ports = template["spec"]["containers"][0]["ports"].as_array().unwrap();
            assert!(ports.iter().any(|port| port["containerPort"] == page.port), "{}", page.name);
        }
    }
}
