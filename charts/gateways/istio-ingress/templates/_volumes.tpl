{{/* What the proxy itself needs. Mounts and volumes stand in one order each, which is kept between releases. */}}
{{- define "gateway.mounts" -}}
# Sockets and certificates of a certificate agent on the node, if there is one.
- name: workload-socket
  mountPath: /var/run/secrets/workload-spiffe-uds
- name: credential-socket
  mountPath: /var/run/secrets/credential-uds
- name: workload-certs
  mountPath: /var/run/secrets/workload-spiffe-credentials
- name: istio-envoy
  mountPath: /etc/istio/proxy
- name: config-volume
  mountPath: /etc/istio/config
{{- if eq .Values.global.pilotCertProvider "istiod" }}
- name: istiod-ca-cert
  mountPath: /var/run/secrets/istio
{{- end }}
{{- if eq .Values.global.jwtPolicy "third-party-jwt" }}
- name: istio-token
  mountPath: /var/run/secrets/tokens
  readOnly: true
{{- end }}
{{- if .Values.global.mountMtlsCerts }}
- name: istio-certs
  mountPath: /etc/certs
  readOnly: true
{{- end }}
- name: istio-data
  mountPath: /var/lib/istio/data
- name: podinfo
  mountPath: /etc/istio/pod
{{- end }}

{{- define "gateway.volumes" -}}
- name: workload-socket
  emptyDir: {}
- name: credential-socket
  emptyDir: {}
- name: workload-certs
  emptyDir: {}
{{- if eq .Values.global.pilotCertProvider "istiod" }}
- name: istiod-ca-cert
  configMap:
    name: istio-ca-root-cert
{{- end }}
- name: podinfo
  downwardAPI:
    items:
    - path: labels
      fieldRef:
        fieldPath: metadata.labels
    - path: annotations
      fieldRef:
        fieldPath: metadata.annotations
- name: istio-envoy
  emptyDir: {}
- name: istio-data
  emptyDir: {}
{{- if eq .Values.global.jwtPolicy "third-party-jwt" }}
- name: istio-token
  projected:
    sources:
    - serviceAccountToken:
        audience: {{ .Values.global.sds.token.aud | quote }}
        expirationSeconds: 43200
        path: istio-token
{{- end }}
{{- if .Values.global.mountMtlsCerts }}
- name: istio-certs
  secret:
    secretName: istio.{{ include "gateway.key" . }}-service-account
    optional: true
{{- end }}
- name: config-volume
  configMap:
    name: istio{{ include "gateway.revisionSuffix" . }}
    optional: true
{{- end }}

{{/* What the user adds: secrets and ConfigMaps that need not exist yet. */}}
{{- define "gateway.userMounts" -}}
{{- $gateway := index .Values.gateways (include "gateway.key" .) }}
{{- range $gateway.secretVolumes }}
- name: {{ .name }}
  mountPath: {{ .mountPath | quote }}
  readOnly: true
{{- end }}
{{- range $gateway.configVolumes }}
{{- if .mountPath }}
- name: {{ .name }}
  mountPath: {{ .mountPath | quote }}
  readOnly: true
{{- end }}
{{- end }}
{{- end }}

{{- define "gateway.userVolumes" -}}
{{- $gateway := index .Values.gateways (include "gateway.key" .) }}
{{- range $gateway.secretVolumes }}
- name: {{ .name }}
  secret:
    secretName: {{ .secretName | quote }}
    optional: true
{{- end }}
{{- range $gateway.configVolumes }}
- name: {{ .name }}
  configMap:
    name: {{ .configMapName | quote }}
    optional: true
{{- end }}
{{- end }}
