
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <signal.h>
#include <sys/resource.h>

#include "ngx_trove_allocate.h"
#include "tap.h"


/* Blocks of files, by both ways: what the file system has, and writing. */

typedef ngx_err_t (*allocate_pt)(int fd, off_t offset, off_t size);


static int make(void);
static void test(const char *name, allocate_pt allocate);


int
main(void)
{
    test("posix_fallocate()", ngx_trove_allocate);
    test("writing", ngx_trove_allocate_write);

    return tap_done();
}


static int
make(void)
{
    int   fd;
    char  path[] = "allocate-XXXXXX";

    fd = mkstemp(path);

    if (fd == -1 || unlink(path) == -1) {
        perror("mkstemp()");
        exit(1);
    }

    return fd;
}


static void
test(const char *name, allocate_pt allocate)
{
    int            fd;
    u_char         byte;
    struct stat    st;
    struct rlimit  limit, old;

    fd = make();

    tap_ok(allocate(fd, 0, 100000) == 0 && fstat(fd, &st) == 0,
       "%s: an empty file", name);
    tap_ok(st.st_size == 100000, "%s: its size", name);
    tap_ok(st.st_blocks * 512 >= 100000, "%s: its blocks", name);

    (void) close(fd);

    /* a hole, with data in it and a part of a block at each end */

    fd = make();

    tap_ok(ftruncate(fd, 1000000) == 0 && pwrite(fd, "a", 1, 5119) == 1
       && pwrite(fd, "b", 1, 300001) == 1, "%s: a file with a hole", name);

    tap_ok(allocate(fd, 5001, 600000) == 0 && fstat(fd, &st) == 0,
       "%s: the hole", name);
    tap_ok(st.st_size == 1000000, "%s: the size stays", name);
    tap_ok(st.st_blocks * 512 >= 600000 && st.st_blocks * 512 < 900000,
       "%s: blocks of the hole only", name);

    tap_ok(pread(fd, &byte, 1, 5119) == 1 && byte == 'a'
       && pread(fd, &byte, 1, 300001) == 1 && byte == 'b'
       && pread(fd, &byte, 1, 5001) == 1 && byte == 0
       && pread(fd, &byte, 1, 600999) == 1 && byte == 0,
       "%s: the contents stay", name);

    tap_ok(allocate(fd, 999999, 2) == 0 && fstat(fd, &st) == 0
       && st.st_size == 1000001, "%s: one byte more", name);

    /* no space */

    (void) signal(SIGXFSZ, SIG_IGN);
    (void) getrlimit(RLIMIT_FSIZE, &old);

    limit = old;
    limit.rlim_cur = 1200000;
    (void) setrlimit(RLIMIT_FSIZE, &limit);

    tap_ok(allocate(fd, 1000001, 1000000) == EFBIG, "%s: too large", name);

    (void) setrlimit(RLIMIT_FSIZE, &old);

    tap_ok(allocate(fd, -1, 10) == EINVAL, "%s: no offset", name);
    tap_ok(allocate(-1, 0, 10) == EBADF, "%s: no file", name);

    (void) close(fd);
}
