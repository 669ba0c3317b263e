FROM busybox
ARG ROUND
RUN --mount=type=cache,id=data,target=/volume --mount=type=bind,target=/scripts sh /scripts/change.sh /volume "$ROUND"
