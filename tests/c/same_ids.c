/* Random numbers that repeat themselves, for LD_PRELOAD: of the ids that a process draws, which are the only numbers of 24 bytes, the first
 * two are equal. */
#define _GNU_SOURCE
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

ssize_t getrandom(void *buffer, size_t length, unsigned flags)
{
    static atomic_int drawn;

    if (length == 24 && atomic_fetch_add(&drawn, 1) < 2) {
        memset(buffer, 'A', length);
        return (ssize_t)length;
    }
    return syscall(SYS_getrandom, buffer, length, flags);
}
