#include <stdio.h>
#include <stdlib.h>

static int twice(int x) { return 2 * x; }

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        printf("%d\n", twice(atoi(argv[i])));
    return 0;
}
