#include <stdio.h>

/* The core library as it is shipped can unwind; nothing here does. */
void rust_eh_personality(void) {}

int digit(const float image[64]);

int main(void) {
    float image[64];
    for (int i = 0; i < 64; i++)
        if (scanf("%f", &image[i]) != 1) return 2;
    printf("%d\n", digit(image));
    return 0;
}
