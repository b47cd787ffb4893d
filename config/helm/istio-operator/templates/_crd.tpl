{{- define "istio-operator.crd" -}}
istiooperators.install.istio.io
{{- end }}

{{- /* Whether somebody else has installed the CRD: it is not Helm's to write. */ -}}
{{- define "istio-operator.isCrdOfOthers" -}}
{{- $there := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" (include "istio-operator.crd" .) -}}
{{- $annotations := dig "metadata" "annotations" (dict) $there -}}
{{- $owner := list (get $annotations "meta.helm.sh/release-namespace") (get $annotations "meta.helm.sh/release-name") -}}
{{- if and $there (ne (join "/" $owner) (printf "%s/%s" .Release.Namespace .Release.Name)) -}}
true
{{- end -}}
{{- end }}
