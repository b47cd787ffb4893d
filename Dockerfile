# The operator's image: the binary, certificates to trust, licenses, and release packages. `make image` lays out what is copied, with
# a folder for each architecture; nothing is pulled and nothing is built here.
FROM scratch
ARG TARGETARCH
# A folder with a release package for each version, of the context; one that is empty by default.
ARG PACKAGES=no-packages
COPY ${TARGETARCH}/ /
COPY ${PACKAGES}/ /packages/
ARG VERSION
ARG REVISION
ARG CREATED
ARG SOURCE=
LABEL org.opencontainers.image.title="istio-operator" \
      org.opencontainers.image.description="The in-cluster operator for IstioOperator resources, and its command line" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.source="${SOURCE}"
# As a number, so that `runAsNonRoot` can be checked.
USER 1337:1337
EXPOSE 8383
ENTRYPOINT ["/istio-operator"]
CMD ["run"]
