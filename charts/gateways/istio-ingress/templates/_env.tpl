{{/* The proxy's environment. What the injector knows as well is left to it where it completes the pod. */}}
{{- define "gateway.env" -}}
{{- $gateway := index .Values.gateways (include "gateway.key" .) }}
{{- $complete := not $gateway.injectionTemplate }}
{{- if $complete }}
{{- include "gateway.identityEnv" . }}
{{- end }}
{{- if not $gateway.runAsRoot }}
- name: ISTIO_META_UNPRIVILEGED_POD
  value: "true"
{{- end }}
{{- include "gateway.variables" $gateway.env }}
{{- if $complete }}
{{- include "gateway.variables" .Values.meshConfig.defaultConfig.proxyMetadata }}
{{- if and .Values.global.network (not (hasKey ($gateway.env | default dict) "ISTIO_META_NETWORK")) }}
- name: ISTIO_META_NETWORK
  value: {{ .Values.global.network | quote }}
{{- end }}
- name: ISTIO_META_CLUSTER_ID
  value: {{ .Values.global.multiCluster.clusterName | default "Kubernetes" | quote }}
- name: ISTIO_META_NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
{{- end }}
{{- end }}

{{/* Variables given as a map. */}}
{{- define "gateway.variables" -}}
{{- range $name, $value := . }}
- name: {{ $name | quote }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* Who the proxy is, and who vouches for that. */}}
{{- define "gateway.identityEnv" -}}
{{- $gateway := index .Values.gateways (include "gateway.key" .) }}
{{- $istiod := printf "istiod%s.%s.svc:15012" (include "gateway.revisionSuffix" .) .Values.global.istioNamespace }}
{{- $owner := printf "kubernetes://apis/apps/v1/namespaces/%s/deployments/%s" .Release.Namespace $gateway.name }}
- name: JWT_POLICY
  value: {{ .Values.global.jwtPolicy | quote }}
- name: PILOT_CERT_PROVIDER
  value: {{ .Values.global.pilotCertProvider | quote }}
- name: CA_ADDR
  value: {{ .Values.global.caAddress | default $istiod | quote }}
{{- include "gateway.field" (list "NODE_NAME" "spec.nodeName") }}
{{- include "gateway.field" (list "POD_NAME" "metadata.name") }}
{{- include "gateway.field" (list "POD_NAMESPACE" "metadata.namespace") }}
{{- include "gateway.field" (list "INSTANCE_IP" "status.podIP") }}
{{- include "gateway.field" (list "HOST_IP" "status.hostIP") }}
- name: SERVICE_ACCOUNT
  valueFrom:
    fieldRef:
      fieldPath: spec.serviceAccountName
- name: ISTIO_META_WORKLOAD_NAME
  value: {{ $gateway.name | quote }}
- name: ISTIO_META_OWNER
  value: {{ $owner | quote }}
{{- with .Values.global.meshID | default .Values.meshConfig.trustDomain }}
- name: ISTIO_META_MESH_ID
  value: {{ . | quote }}
{{- end }}
{{- with .Values.meshConfig.trustDomain }}
- name: TRUST_DOMAIN
  value: {{ . | quote }}
{{- end }}
{{- end }}

{{- define "gateway.revisionSuffix" -}}
{{- with .Values.revision }}-{{ . }}{{ end }}
{{- end }}

{{/* A variable that holds a field of the pod. Takes a list of both names. */}}
{{- define "gateway.field" }}
- name: {{ index . 0 }}
  valueFrom:
    fieldRef:
      apiVersion: v1
      fieldPath: {{ index . 1 }}
{{- end }}
