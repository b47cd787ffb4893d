{{/* A service account in the control plane's namespace. Takes root, name and app. */}}
{{- define "base.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .name }}
  namespace: {{ .root.Values.global.istioNamespace }}
  labels:
    app: {{ .app }}
    release: {{ .root.Release.Name }}
{{- with .root.Values.global.imagePullSecrets }}
imagePullSecrets:
{{- range . }}
- name: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/* A ClusterRoleBinding of the role of the same name to such an account. Takes root, name, app and account. */}}
{{- define "base.clusterRoleBinding" -}}
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
