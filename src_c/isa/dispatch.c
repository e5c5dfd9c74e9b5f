/* The only file that chooses an ISA. */
#include "isa/cpu_features.h"
#include "run/kernel_table.h"
#include <string.h>

#if defined(__x86_64__)
extern const fs_isa fs_isa_avx512, fs_isa_avx2;
#elif defined(__aarch64__)
extern const fs_isa fs_isa_neon;
#endif
extern const fs_isa fs_isa_scalar;

static const fs_isa *const isas[] = {
#if defined(__x86_64__)
    &fs_isa_avx512, &fs_isa_avx2,
#elif defined(__aarch64__)
    &fs_isa_neon,
#endif
    &fs_isa_scalar,
};
enum { ISA_COUNT = sizeof isas / sizeof *isas };

int fs_select_isa(const char *name)
{
    int any = name == NULL || *name == '\0';
    for (int i = 0; i < ISA_COUNT; i++)
        if ((any || strcmp(name, isas[i]->name) == 0) && fs_cpu_has(isas[i]->name)) {
            __atomic_store_n(&fs_isa_active, isas[i], __ATOMIC_RELEASE);
            return 0;
        }
    return -1;
}

static const fs_isa *active(void) { return __atomic_load_n(&fs_isa_active, __ATOMIC_ACQUIRE); }
const char *fs_active_isa(void) { return active()->name; }
const char *fs_isa_name(int i) { return i >= 0 && i < ISA_COUNT ? isas[i]->name : NULL; }
int fs_isa_supported(int i) { return i >= 0 && i < ISA_COUNT && fs_cpu_has(isas[i]->name); }
const char *fs_kernel_name(int op) { return op >= 0 && op < FS_OP_COUNT ? active()->kernel_names[op] : NULL; }
