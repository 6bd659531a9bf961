/* support.h: what tests share. */
#ifndef WLMI_TEST_SUPPORT_H
#define WLMI_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wirelm.h"

/* Fails the test with the error's text unless status is WLM_OK. */
#define assert_ok(call, error) \
    do { \
        if ((call) != WLM_OK) \
            fail_msg("%s: %s (%s)", #call, (error)->cause, (error)->file); \
    } while (0)

/* A folder of this test program's own, emptied at the start and removed at exit. */
const char *test_folder(void);
/* test_folder()/name in a static ring of buffers. */
const char *test_path(const char *name);
/* Root of the source tree. */
const char *test_root(void);
/* Folder of the shared captures (WIRELM_DATA, else ../shared/data beside the tree), or NULL where absent. */
const char *test_data(void);
/* Writes a file; fails the test where it cannot. */
void test_write(const char *path, const void *data, size_t size);
/* Reads a whole file into malloc'ed memory. */
uint8_t *test_read(const char *path, size_t *size);

#endif
