{{/* The API group of multi-cluster services. */}}
{{- define "rbac.multicluster" -}}
{{ .Values.pilot.env.MCS_API_GROUP | default "multicluster.x-k8s.io" }}
{{- end }}

{{/* Whether istiod deploys gateways for the Gateway API: on unless switched off. */}}
{{- define "rbac.gatewayController" -}}
{{- if ne (toString .Values.pilot.env.PILOT_ENABLE_GATEWAY_API_DEPLOYMENT_CONTROLLER) "false" }}true{{ end }}
{{- end }}

{{/* A ClusterRoleBinding of the role of the same name. Takes root, name, app and account. */}}
{{- define "rbac.clusterRoleBinding" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ .name }}
  labels:
    app: {{ .app }}
    release: {{ .root.Release.Name }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ .name }}
subjects:
- kind: ServiceAccount
  name: {{ .account }}
  namespace: {{ .root.Values.global.istioNamespace }}
{{- end }}
