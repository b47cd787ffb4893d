{{/* Gives the plug-in's account the ClusterRole of this name. */}}
{{- define "cni.roleRef" -}}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ .role }}
subjects:
- kind: ServiceAccount
  name: istio-cni
  namespace: {{ .root.Release.Namespace }}
{{- end }}
