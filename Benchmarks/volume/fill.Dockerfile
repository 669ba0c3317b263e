FROM busybox
RUN --mount=type=cache,id=data,target=/volume --mount=type=bind,target=/scripts sh /scripts/fill.sh /volume
