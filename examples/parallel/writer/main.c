#include <stdio.h>

int main(void) {
    for (int line = 0; line < 1000; line++) printf("line %d\n", line);
}
