# Twelve RUN steps, each with a small file as its result: none of them cached, then all of them.
# shellcheck shell=bash disable=SC2154 # run.sh sets and reads the variables that the parts share

# A step's key has the value of an ARG in force: another one, and every step is new.
steps_context() {
    local step
    mkdir -p "$1"
    {
        echo "FROM busybox"
        echo "ARG NONCE"
        for step in 1 2 3 4 5 6 7 8 9 10 11 12; do echo "RUN echo \"\$NONCE\" >/step-$step"; done
    } >"$1/Dockerfile"
}

measure_steps() {
    local context=$work/steps run nonce who
    steps_context "$context"
    # The first build of a daemon unpacks the base image: not what is measured.
    timed farm_build --build-arg NONCE=0 "$context"
    timed buildkit_build --build-arg NONCE=0 "$context"
    for ((run = 1; run <= runs; run++)); do
        nonce=$run.$RANDOM
        for who in farm buildkit; do
            case " $cases " in
            *" steps "*)
                clock steps "12 steps" $who ${who}_build --build-arg "NONCE=$nonce" "$context"
                note steps "each step" $who s "$(awk -v all="$elapsed" 'BEGIN { print all / 12 }')"
                ;;
            *) timed ${who}_build --build-arg "NONCE=$nonce" "$context" ;;
            esac
            case " $cases " in
            *" cached "*) clock cached "12 steps, all cached" $who ${who}_build --build-arg "NONCE=$nonce" "$context" ;;
            esac
        done
    done
}
