FROM busybox
ARG EXPECTED
RUN --mount=type=cache,id=data,target=/volume test -e "/volume/$EXPECTED"
