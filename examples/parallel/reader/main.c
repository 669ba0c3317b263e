#include <stdio.h>

int main(void) {
    long lines = 0;
    for (int c; (c = getchar()) != EOF;) lines += c == '\n';
    printf("%ld\n", lines);
}
